"""The execution of one procedure (`sampling.Procedure`): the requests it waits for, and finally its result."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Generic

import torch

from smoothing.batch_clock import Lap
from smoothing.cursor import Cursor
from smoothing.noise.base import describes
from smoothing.sampling import Checked, Drawn, Procedure, R, Request
from smoothing.user_code import shown


class Execution(Generic[R]):
    """The execution of one procedure. The caller sets the arithmetic.

    Args:
        procedure: begun by the first `ask`; None if there is only an error.
        error: raised where a procedure should be.

    Attributes:
        finished: whether there is a result or an error.
        error: raised by the procedure, or about an input that its noise does not cover.
        result: of the procedure.
        cursors: the requests that it made last.
        laps: of its batches, with its shares of their rows.
    """

    def __init__(self, procedure: Procedure[R] | None = None, error: Exception | None = None) -> None:
        self.laps: list[tuple[Lap, float]] = []
        self.finished = error is not None
        self.error = error
        self.result: R
        self.cursors: list[Cursor] = []
        self._drawn, self._asking, self._begun = Drawn(), 0.0, False
        if procedure is not None:
            self._procedure = procedure

    @property
    def unfinished(self) -> list[Cursor]:
        """The requests with copies left to evaluate."""
        return [cursor for cursor in self.cursors if cursor.left]

    @property
    def seconds(self) -> float:
        """The time of its shares of batches, and of its procedure, which laps on a GPU include."""
        evaluating = sum(lap.seconds * share for lap, share in self.laps)
        return evaluating if any(lap.on_gpu for lap, _ in self.laps) else evaluating + self._asking

    def ask(self) -> None:
        """Begin the procedure, or send it its answers, and take its next requests or its result."""
        started = time.perf_counter()
        with self.failing("metric or certifier"):
            answers: Any = [cursor.answers for cursor in self.cursors] if self._begun else None  # None begins it
            try:
                requests = self._procedure.send(answers)
            except StopIteration as stop:
                self.result, self.finished, requests = stop.value, True, []
            self._begun, self.cursors = True, [Cursor(request) for request in requests]
            if not isinstance(requests, Checked):
                self._drawn.require_fresh(cursor.request for cursor in self.cursors)
        self._asking += time.perf_counter() - started

    @contextmanager
    def failing(self, who: str) -> Iterator[None]:
        """Context manager: an error inside is this procedure's; `who` is at fault if it comes from a user's code."""
        try:
            with shown(who, always=False):
                yield
        except Exception as error:
            self.error, self.finished, self.cursors = error, True, []


def advance(executions: Sequence[Execution[Any]]) -> None:
    """Continue procedures, those to begin included, until each has copies left to evaluate or has finished.

    One whose noise does not cover its input fails. The inputs of all of them are checked together.
    """
    while waiting := [each for each in executions if not each.finished and not each.unfinished]:
        for each in waiting:
            each.ask()
        asked = [(each, cursor.request) for each in waiting for cursor in each.cursors]
        for _, same in groupby(asked, key=lambda one: _kind(one[1])):
            _require_covered(list(same))


def _kind(request: Request) -> tuple[object, ...]:
    """What requests whose inputs are checked together have in common."""
    return id(request.noise), request.x.shape, request.x.dtype, request.x.device


def _require_covered(asked: list[tuple[Execution[Any], Request]]) -> None:
    """Fail the executions whose requests, all of one kind, are for inputs that the noise does not cover."""
    noise = asked[0][1].noise
    if len(asked) > 1 and describes(noise, "require_each", "require"):
        try:
            noise.require_each(torch.stack([request.x for _, request in asked]))
            return
        except Exception:  # raised again below, for the input that it is about
            pass
    for execution, request in asked:
        with execution.failing("noise"):
            noise.require(request.x)
