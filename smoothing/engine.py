"""The engine: the batches of several procedures at once, through the base function as fast as the device allows."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Generic

import torch
from torch import Tensor

from smoothing.arithmetic import arithmetic
from smoothing.base_function import FrozenFunction
from smoothing.batch_size import fastest_batch_size
from smoothing.errors import SettingError
from smoothing.probe import Probe
from smoothing.sampling import Cursor, Procedure, R
from smoothing.user_code import shown

WORTH_A_LOOK = 8  # batches after which no result is given out before f was looked at again


class Engine:
    """Runs procedures (`sampling.Procedure`): their noisy inputs share batches, their results do not know of it.

    Noise is written straight into a buffer that is used again. Where one example's votes cannot fill a batch, or it
    stops early, the next ones do. Nothing waits for the device but a procedure that looks at what it asked for.

    Args:
        f: the base function.
        batch_size: rows of a batch; None for the fastest on the device at hand, measured at the first input.
        on_samples: called with the number of rows just evaluated.

    Raises:
        SettingError: batch_size below 1.
    """

    def __init__(
        self, f: FrozenFunction, batch_size: int | None, on_samples: Callable[[int], None] = lambda count: None
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise SettingError(f"batch_size: expected at least 1, got {batch_size}")
        self.f, self.batch_size, self.on_samples = f, batch_size, on_samples
        self._lanes: dict[tuple[object, ...], _Lane] = {}
        self._probe = Probe(f)

    def run(self, procedure: Procedure[R]) -> R:
        """The result of one procedure."""
        ((result, _),) = self.run_all([procedure])
        return result

    def run_all(self, procedures: Iterable[Procedure[R]]) -> Iterator[tuple[R, float]]:
        """The results of procedures, in their order, each with the seconds that it took: its share of each batch.

        As many are under way as it takes to fill a batch, one at least. What one raises is raised in its turn.
        """
        waiting = iter(procedures)
        under_way: deque[_Run[R]] = deque()
        exhausted = False
        self.f.begin()
        self._probe.begin()
        while under_way or not exhausted:
            while not exhausted and self._room(under_way):
                if (procedure := next(waiting, None)) is None:
                    exhausted = True
                else:
                    under_way.append(_Run(procedure))
            while under_way and under_way[0].finished:
                run = under_way.popleft()
                if run.error:
                    raise run.error
                if self._probe.batches >= WORTH_A_LOOK:
                    self._probe.again()
                yield run.result, run.seconds
            if under_way:
                self._batch(under_way)
        self._probe.again()

    def _room(self, under_way: "deque[_Run[R]]") -> bool:
        """Whether to begin another procedure: none is to be given out, and those under way cannot fill a batch."""
        if not under_way or self.batch_size is None:
            return not under_way
        if under_way[0].finished:
            return False
        small = self._small(under_way)
        return under_way[0].open[0] in small and sum(cursor.left for cursor in small) < self.batch_size

    def _small(self, under_way: "deque[_Run[R]]") -> dict[Cursor, "_Run[R]"]:
        """What is left to do of requests that share batches, being too small to fill one."""
        assert self.batch_size
        return {
            cursor: run
            for run in under_way
            for cursor in run.open
            if cursor.request.shared and cursor.request.count < self.batch_size
        }

    def tune(self, x: Tensor, rows: float = inf) -> int:
        """The batch size; where it was left open, chosen now.

        Args:
            x: such an input as will come, (*shape).
            rows: noisy copies that there will be at most.
        """
        if self.batch_size is None:
            self.batch_size = fastest_batch_size(self.f, x, rows)
        return self.batch_size

    def _batch(self, under_way: "deque[_Run[R]]") -> None:
        """Evaluate the next rows: of the first request, or of many small ones.

        A request of its own is always cut into the same batches. Small ones share a batch that is always full, if need
        be with rows that nobody asked for: what the others are cannot change a row's rounding through the batch's size.
        """
        started = time.perf_counter()
        first = next(run for run in under_way if not run.finished)
        x = first.open[0].request.x
        batch_size = self.tune(x)
        with arithmetic(x.device):
            taken = self._evaluated(under_way, first, self._lane(x, batch_size), batch_size)
        rows = sum(taken.values())
        self.on_samples(rows)
        share = (time.perf_counter() - started) / rows
        for run, count in taken.items():
            run.seconds += count * share
        for run in taken:
            run.advance()

    def _evaluated(
        self, under_way: "deque[_Run[R]]", first: "_Run[R]", lane: "_Lane", batch_size: int
    ) -> "dict[_Run[R], int]":
        """Evaluate a batch; what is kept of its outputs goes to the requests. Returns how many rows each run has."""
        buffer, end = lane.next(), 0
        small = self._small(under_way)
        shared = first.open[0] in small
        taken: list[tuple[_Run[R], Cursor, int, int]] = []
        new = any(not cursor.begun for run in under_way for cursor in run.open)
        with lane.filling(new), shown("noise", always=False):
            for cursor, run in (small if shared else {first.open[0]: first}).items():
                if lane.takes(cursor.request.x) and end < batch_size:
                    begin, end = end, min(batch_size, end + cursor.left)
                    cursor.write(buffer[begin:end])
                    taken.append((run, cursor, begin, end))
        batch = buffer if shared or self.f.compiled else buffer[:end]  # compiled for one shape
        self.f.settle(batch)
        outputs = self.f(batch)
        self._probe.batch(batch, outputs) if self.f.compiled else self._probe.batch(batch[:end], outputs[:end])
        rows: dict[_Run[R], int] = {}
        with shown("metric", always=False):
            for run, cursor, begin, stop in taken:
                cursor.answers.append(cursor.request.reduce(outputs[begin:stop]))
                rows[run] = rows.get(run, 0) + stop - begin
        lane.used()
        return rows

    def _lane(self, x: Tensor, batch_size: int) -> "_Lane":
        key = (tuple(x.shape), x.dtype, x.device, batch_size)
        if key not in self._lanes:
            self._lanes = {key: _Lane(x, batch_size)}  # those of another shape are let go
        return self._lanes[key]


class _Run(Generic[R]):
    """A procedure under way: what it waits for, and in the end its result or what it raised."""

    def __init__(self, procedure: Procedure[R]) -> None:
        self.seconds = 0.0
        self.finished = False
        self.error: Exception | None = None
        self.result: R
        self.cursors: list[Cursor] = []
        self._procedure = procedure
        self._device = torch.device("cpu")
        self._ask(None)
        self.advance()

    @property
    def open(self) -> list[Cursor]:
        """Those of its requests of which something is left to do."""
        return [cursor for cursor in self.cursors if cursor.left]

    def advance(self) -> None:
        """Go on as long as all that is asked for is there."""
        while not self.finished and not self.open:
            self._ask([cursor.answers for cursor in self.cursors])

    def _ask(self, answers: list[list[Tensor]] | None) -> None:
        started = time.perf_counter()
        try:
            with arithmetic(self._device), shown("metric", always=False):
                try:
                    requests = next(self._procedure) if answers is None else self._procedure.send(answers)
                except StopIteration as stop:
                    self.result, self.finished, requests = stop.value, True, []
                self.cursors = [Cursor(request) for request in requests]
            self._device = next((request.x.device for request in requests), self._device)
        except Exception as error:
            self.error, self.finished, self.cursors = error, True, []
        self.seconds += time.perf_counter() - started


class _Lane:
    """The batch buffers for inputs of one kind. On CUDA two of them: one is filled while the other is evaluated."""

    def __init__(self, x: Tensor, batch_size: int) -> None:
        self._kind = (x.shape, x.dtype, x.device)
        self._cuda = x.is_cuda
        self._buffers = [x.new_zeros(batch_size, *x.shape) for _ in range(2 if self._cuda else 1)]
        self._turn = 0
        if self._cuda:
            self._side = torch.cuda.Stream(x.device)
            self._free = [torch.cuda.Event() for _ in self._buffers]
            for event in self._free:
                event.record(torch.cuda.current_stream(x.device))

    def takes(self, x: Tensor) -> bool:
        return (x.shape, x.dtype, x.device) == self._kind

    def next(self) -> Tensor:
        self._turn = (self._turn + 1) % len(self._buffers)
        return self._buffers[self._turn]

    @contextmanager
    def filling(self, new: bool) -> Iterator[None]:
        """While noise is written into the buffer: on CUDA on a stream of its own, beside the last batch's network.

        Args:
            new: an input may have been put on the device just now.
        """
        if not self._cuda:
            yield
            return
        main = torch.cuda.current_stream(self._side.device)
        self._side.wait_stream(main) if new else self._side.wait_event(self._free[self._turn])
        with torch.cuda.stream(self._side):
            yield
        main.wait_stream(self._side)

    def used(self) -> None:
        """All work that reads the buffer has been given to the device."""
        if self._cuda:
            self._free[self._turn].record(torch.cuda.current_stream(self._side.device))
