"""The engine: runs procedures (`sampling.Procedure`), with their noisy inputs in shared batches."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import ceil, inf

import torch
from torch import Tensor

from smoothing.arithmetic import ONE_THREAD, fixed_arithmetic
from smoothing.base_function import FrozenFunction
from smoothing.batch_clock import BatchClock
from smoothing.batch_size import fastest_batch_size
from smoothing.cursor import Cursor, Part, write_parts
from smoothing.double_buffer import DoubleBuffer
from smoothing.errors import SettingError
from smoothing.evaluation import unnoticed
from smoothing.execution import Execution, advance
from smoothing.noise.check import SameCopies
from smoothing.probe import Probe
from smoothing.sampling import Procedure, R, Request
from smoothing.user_code import shown

MOST_UNCHECKED = 8  # after this many batches without a check, f is checked before a result is returned


class Engine:
    """Runs procedures (`sampling.Procedure`). Their noisy inputs share batches, which does not change their results.

    Threads may share an engine: it evaluates a batch of one at a time.

    Noise is written directly into a reused buffer. If the votes of one example cannot fill a batch, or it stops early,
    the next examples fill it. Only a procedure that reads a result waits for the device.

    Args:
        f: the base function.
        batch_size: rows in a batch; None for the fastest on this device, measured at the first input.
        on_samples: called with the number of rows just evaluated.

    Raises:
        SettingError: batch_size is below 1.

    Examples:
        >>> from smoothing import Gaussian
        >>> from smoothing.sampling import Samples
        >>> from smoothing.streams import Stage, Stream
        >>> def counting(x):
        ...     stream = Stream(seed=0, example=0, stage=Stage.PREDICTION)
        ...     (counts,) = yield [Samples(x, Gaussian(sigma=0.1), lambda outputs: (outputs > 0).sum(), stream, 200)]
        ...     return int(sum(counts))
        >>> engine = Engine(FrozenFunction(lambda batch: batch.mean(dim=1)), batch_size=64)
        >>> engine.run(counting(torch.ones(4)))
        200
    """

    def __init__(
        self, f: FrozenFunction, batch_size: int | None, on_samples: Callable[[int], None] = unnoticed
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise SettingError(f"batch_size: expected at least 1, got {batch_size}")
        self.f, self.batch_size, self.on_samples = f, batch_size, on_samples
        self._buffers: dict[tuple[object, ...], DoubleBuffer] = {}
        self._probe, self._clock = Probe(f), BatchClock()
        self._same_copies = SameCopies()
        self._sound: dict[tuple[object, ...], object] = {}  # kinds of noise and input that were checked, with the noise

    def run(self, procedure: Procedure[R]) -> R:
        """The result of one procedure."""
        ((result, _),) = self.run_all([procedure])
        return result

    def run_all(self, procedures: Iterable[Procedure[R]]) -> Iterator[tuple[R, float]]:
        """The results of procedures, in their order, each with the seconds that it took: its shares of the batches.

        On CUDA, the device measures them.

        At least one procedure is under way, and as many as are needed to fill a batch. An error of a procedure, or of
        the iterator that gives them, is raised in its turn, after the results of the procedures before it.
        """
        waiting = iter(procedures)
        under_way: deque[Execution[R]] = deque()
        exhausted = False
        probe = self._probe.of_a_run()
        with ONE_THREAD:
            self.f.begin()
            self._clock.restart()
        while under_way or not exhausted:
            while under_way and under_way[0].finished:
                first = under_way.popleft()
                if first.error:
                    raise first.error
                if probe.batches >= MOST_UNCHECKED:
                    with ONE_THREAD:
                        probe.check_again()
                yield first.result, first.seconds
                self._clock.restart()
            exhausted = exhausted or not self._begin_more(waiting, under_way)
            if under_way and not under_way[0].finished:
                with ONE_THREAD:
                    self._batch(under_way, probe)
        with ONE_THREAD:
            probe.check_again()

    def _begin_more(self, waiting: Iterator[Procedure[R]], under_way: deque[Execution[R]]) -> bool:
        """Begin procedures until a result is ready or those under way fill a batch. Returns False if there is no more.

        Only requests that share batches can fill one together.
        """
        left = self._left(under_way)
        while not under_way or self._may_share(under_way[0], left):
            wanted = self._wanted(under_way, left)
            procedures, error = _taken(waiting, wanted)
            begun = [Execution(procedure) for procedure in procedures]
            with fixed_arithmetic(torch.device("cpu")):  # once for many: it takes as long as a small procedure
                advance(begun)
            if error:
                begun.append(Execution(error=error))
            under_way.extend(begun)
            left += self._left(begun)
            if len(procedures) < wanted:
                return False
        return True

    def _wanted(self, under_way: deque[Execution[R]], left: int) -> int:
        """How many procedures would fill the next batch if they asked for what the last one begun does; at least 1."""
        if not self.batch_size or not under_way:
            return 1
        each = sum(cursor.request.count for cursor in self._small([under_way[-1]]))
        return ceil((self.batch_size - left) / each) if each else 1

    def _may_share(self, first: Execution[R], left: int) -> bool:
        """Whether the next batch has room: `first`, the oldest procedure, shares batches, and `left` copies are few."""
        if not self.batch_size or first.finished:
            return False
        return self._is_small(first.unfinished[0]) and left < self.batch_size

    def _left(self, executions: Iterable[Execution[R]]) -> int:
        """The number of their copies that are left for shared batches; 0 before the batch size is known."""
        return sum(cursor.left for cursor in self._small(executions)) if self.batch_size else 0

    def _small(self, under_way: Iterable[Execution[R]]) -> dict[Cursor, Execution[R]]:
        """The unfinished requests that share batches."""
        return {
            cursor: execution for execution in under_way for cursor in execution.unfinished if self._is_small(cursor)
        }

    def _is_small(self, cursor: Cursor) -> bool:
        """Whether a request shares batches: it may, and is too small to fill one."""
        assert self.batch_size
        return cursor.request.shared and cursor.request.count < self.batch_size

    def tune(self, x: Tensor, rows: float = inf) -> int:
        """The batch size. If it was None, it is measured now.

        Args:
            x: a typical input, (*shape).
            rows: the largest number of noisy copies that will be evaluated.
        """
        if self.batch_size is None:
            self.batch_size = fastest_batch_size(self.f, x, rows)
        return self.batch_size

    def _batch(self, under_way: deque[Execution[R]], probe: Probe) -> None:
        """Evaluate the next rows: those of the first request, or of many small ones.

        A request that does not share batches is always split into the same batches. Small requests share a batch that
        is always full, if necessary with leftover rows. So the other requests cannot change the batch's size, and
        thereby a row's rounding.
        """
        first = next(execution for execution in under_way if not execution.finished)
        request = first.unfinished[0].request
        x = request.x
        self._clock.begin(x.device)
        self._require_sound(request)
        batch_size = self.tune(x)
        with fixed_arithmetic(x.device):
            rows = self._evaluate(under_way, first, self._buffer(x, batch_size), probe)
            total, lap = sum(rows.values()), self._clock.end(x.device)
            for execution, count in rows.items():
                execution.laps.append((lap, count / total))
            advance(list(rows))
        self.on_samples(total)

    def _require_sound(self, request: Request) -> None:
        """Check a noise once for each kind of input. Raises BaseFunctionError."""
        kind = (type(request), id(request.noise), tuple(request.x.shape), request.x.dtype, request.x.device)
        if kind not in self._sound:
            with fixed_arithmetic(request.x.device), shown("noise", always=False):
                request.require_sound()
            self._sound[kind] = request.noise

    def _evaluate(
        self, under_way: deque[Execution[R]], first: Execution[R], buffer: DoubleBuffer, probe: Probe
    ) -> dict[Execution[R], int]:
        """Evaluate a batch and pass the reduced outputs to the requests. Returns each execution's number of rows."""
        memory, end = buffer.next(), 0
        batch_size = len(memory)
        small = self._small(under_way)
        shared = first.unfinished[0] in small
        of, parts = (small if shared else {first.unfinished[0]: first}), list[Part]()
        for cursor in of:
            if buffer.fits(cursor.request.x) and end < batch_size:
                begin, end = end, min(batch_size, end + cursor.left)
                parts.append((cursor, begin, end))
        new = any(not cursor.begun for cursor, _, _ in parts)
        with buffer.filling(new), shown("noise", always=False):
            write_parts(parts, memory, self._same_copies)
        batch = memory if shared or self.f.compiled else memory[:end]  # compiled for one shape
        self.f.settle(batch)
        outputs = self.f(batch)
        checked = len(batch) if self.f.compiled else end
        probe.check(batch[:checked], outputs[:checked])
        rows: dict[Execution[R], int] = {}
        with shown("metric or certifier", always=False):
            answers = _reduced([(cursor.request, stop - begin) for cursor, begin, stop in parts], outputs[:end])
            for (cursor, begin, stop), answer in zip(parts, answers, strict=True):
                cursor.answers.append(answer)
                rows[of[cursor]] = rows.get(of[cursor], 0) + stop - begin
        buffer.used()
        return rows

    def _buffer(self, x: Tensor, batch_size: int) -> DoubleBuffer:
        key = (tuple(x.shape), x.dtype, x.device, batch_size)
        if key not in self._buffers:
            self._buffers = {key: DoubleBuffer(x, batch_size)}  # frees the buffer of another shape
        return self._buffers[key]


def _taken(waiting: Iterator[Procedure[R]], wanted: int) -> tuple[list[Procedure[R]], Exception | None]:
    """The next procedures, as many as wanted, if there are. An error of the iterator is returned: it has its turn."""
    procedures: list[Procedure[R]] = []
    try:
        procedures.extend(islice(waiting, wanted))  # keeps those before an error
    except Exception as error:  # such as an input that is none
        return procedures, error
    return procedures, None


def _reduced(parts: list[tuple[Request, int]], outputs: Tensor) -> list[Tensor]:
    """What each request keeps of its rows of the outputs. All at once, if they share a `reduce` that can do so."""
    sizes, reduce = [size for _, size in parts], parts[0][0].reduce
    of_each = getattr(reduce, "of_each", None) if len(parts) > 1 else None
    if of_each and all(request.reduce is reduce for request, _ in parts):
        together: list[Tensor] = of_each(outputs, sizes)
        return together
    return [request.reduce(rows) for (request, _), rows in zip(parts, outputs.split(sizes), strict=True)]
