"""Run several procedures over one base function together, and evaluate shared samples once."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from smoothing.errors import SettingError
from smoothing.sampling import Checked, Drawn, Procedure, R, Request


def combining(procedures: Sequence[Procedure[R]]) -> Procedure[list[R]]:
    """Combine procedures into one, which ends with the last of them. Each is sent exactly what it would be sent alone.

    If several request the same noisy copies at the same time, as center smoothing under several metrics does, f is
    evaluated once.

    Returns:
        The results, in the order of the procedures.

    Raises:
        SettingError: a procedure is not a generator, or one of them requests the same samples twice.
    """
    for procedure in procedures:
        if not isinstance(procedure, Generator):
            raise SettingError(
                f"certifier.procedure: expected a generator, got {type(procedure).__name__}; yield the requests, as "
                "(answers,) = yield [Samples(...)]"
            )
    results: dict[int, R] = {}
    answers: list[Any] = [None] * len(procedures)
    drawn = [Drawn() for _ in procedures]  # one procedure may use the samples of another, but none of its own again
    while len(results) < len(procedures):
        asked: dict[object, list[tuple[int, int, Any]]] = {}  # requests for the same copies: procedure, place, request
        for i, procedure in enumerate(procedures):
            if i in results:
                continue
            try:
                requests = procedure.send(answers[i])
            except StopIteration as stop:
                results[i] = stop.value
                continue
            drawn[i].require_fresh(requests)
            answers[i] = [None] * len(requests)
            for place, request in enumerate(requests):
                asked.setdefault(_copies(request), []).append((i, place, request))
        found: list[Any] = yield Checked(
            replace(group[0][2], reduce=_each([request.reduce for *_, request in group])) for group in asked.values()
        )
        for group, parts in zip(asked.values(), found, strict=True):
            for position, (i, place, _) in enumerate(group):
                answers[i][place] = [part[position] for part in parts]
    return [results[i] for i in range(len(procedures))]


def _copies(request: Request) -> object:
    """A key that is equal for requests for the same copies."""
    stream = getattr(request, "stream", None)
    where = id(request.x), id(request.noise), stream, request.first, request.count
    return type(request), *where, request.shared


def _each(reduces: list[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], list[Tensor]]:
    return lambda outputs: [reduce(outputs) for reduce in reduces]
