"""What a procedure asks of a base function: its outputs at noisy copies of an input.

**Naming rule.** A gerund, such as `certifying`, is a function that returns a procedure: a generator to be run by an
`engine.Engine`. The verb, such as `certify`, runs that procedure and returns its result.

A procedure reads like the algorithm in its paper, and the engine decides on batches. It yields a list of requests and
is sent, for each of them, the list of what `reduce` returned, in the order of the copies. It returns its result.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import torch
from torch import Tensor

from smoothing.blocks import Blocks, Draw, numbers_at_once
from smoothing.errors import SettingError
from smoothing.noise import FiniteNoise, Noise
from smoothing.noise.base import describes, require_copies
from smoothing.noise.check import SameCopies, require_affected, require_same_copies, require_sound
from smoothing.streams import BlockSource, Stream

R = TypeVar("R")  # the result of a procedure


class Request(ABC):
    """Noisy copies of one input, and what to keep of the base function's outputs at them.

    Attributes:
        x: one input, (*shape), floating-point, on the device to compute on.
        noise: the smoothing distribution that makes the copies.
        reduce: function from outputs at some of the copies, (b, *output shape), to what is kept of them, on the same
            device: counts, distances, or the outputs themselves. It is called for each batch that contains some. If
            requests share one that also has a method `of_each`, as `votes.Votes`, it is called once for all.
        first: number of the first copy.
        count: number of copies.
        shared: whether they may be in one batch with copies of other inputs. Votes may. Outputs whose last digits are
            kept may not, because a network rounds a row differently in a batch of another size.
    """

    x: Tensor
    noise: Noise
    reduce: Callable[[Tensor], Tensor]
    first: int
    count: int
    shared: bool

    @abstractmethod
    def writer(self) -> Callable[[Tensor], None]:
        """A function that writes the next copies into rows, (r, *shape), however many there are."""

    @abstractmethod
    def require_sound(self) -> None:
        """Raise BaseFunctionError if the noise draws no copies that a certificate may rely on."""


@dataclass(frozen=True, eq=False)
class Samples(Request):
    """Request for `count` samples of a noise, starting at number `first` of a stream.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> from smoothing.base_function import FrozenFunction
        >>> from smoothing.engine import Engine
        >>> from smoothing.streams import Stage
        >>> def estimating(x, n):  # a gerund: a procedure that estimates P[f(x + noise) > 0]
        ...     stream = Stream(seed=0, example=0, stage=Stage.ESTIMATION)
        ...     (counts,) = yield [Samples(x, Gaussian(sigma=1.0), lambda outputs: (outputs > 0).sum(), stream, n)]
        ...     return int(sum(counts)) / n
        >>> f = FrozenFunction(lambda batch: batch.sum(dim=1))
        >>> abs(Engine(f, batch_size=256).run(estimating(torch.zeros(2), n=1000)) - 0.5) < 0.05
        True
    """

    x: Tensor
    noise: Noise
    reduce: Callable[[Tensor], Tensor]
    stream: Stream
    count: int
    first: int = 0
    shared: bool = False

    def writer(self) -> Callable[[Tensor], None]:
        together = self.noise.rowwise and describes(self.noise, "rowwise", "sample")
        return Blocks(self.x, self._begin, self.first, together).write

    def require_sound(self) -> None:
        require_sound(self.noise, self.x, lambda block, count: self._begin(block, 1)(count, None), random=True)

    @cached_property
    def _sample(self) -> Callable[[int, BlockSource], Tensor]:
        if describes(self.noise, "around", "sample"):
            return self.noise.around(self.x)
        return partial(self.noise.sample, self.x)

    def _begin(self, first: int, count: int) -> Draw:
        source = self.stream.blocks(first, count, self.x.device)
        return lambda rows, out: require_copies(self._sample(rows, source.into(out)), self.x, (rows,), self.noise)


@dataclass(frozen=True, eq=False)
class AllCopies(Request):
    """Request for all noisy copies of a finite noise, in order."""

    x: Tensor
    noise: FiniteNoise
    reduce: Callable[[Tensor], Tensor]
    shared: bool = False
    first = 0

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.noise.steps

    @staticmethod
    def write_all(requests: "Sequence[AllCopies]", rows: Tensor, same: SameCopies) -> None:
        """Write all copies of several inputs of one kind under one noise into `rows`, (count of all, *shape).

        Raises BaseFunctionError if `same` finds that they are not those of each input.
        """
        at_once, count = requests[0]._inputs_at_once, requests[0].count
        for k in range(0, len(requests), at_once):
            some = requests[k : k + at_once]
            part = rows[k * count : (k + len(some)) * count]
            if len(some) == 1:
                some[0].writer()(part)
            else:
                xs = torch.stack([request.x for request in some])
                copies = some[0]._copies_of_each(xs)
                same.require(some[0].noise, xs, copies)
                part.view(copies.shape).copy_(copies)

    def writer(self) -> Callable[[Tensor], None]:
        at, together = 0, max(1, numbers_at_once(self.x) // max(1, self.x.numel()))

        def write(rows: Tensor) -> None:
            nonlocal at
            for part in rows.split(together) if len(rows) > together else (rows,):
                part.copy_(self._copies(at, len(part)))
                at += len(part)

        return write

    def require_sound(self) -> None:
        def beginning(_: int, count: int) -> Tensor:
            return self._copies(0, min(count, self.count))

        require_sound(self.noise, self.x, beginning, random=False)
        require_affected(self.noise, self.x)
        if self._inputs_at_once > 1:
            xs = torch.stack([self.x, self.x.roll(1)])
            require_same_copies(self.noise, xs, self._copies_of_each(xs))

    def _copies(self, first: int, count: int) -> Tensor:
        return require_copies(self.noise.copies(self.x, first, count), self.x, (count,), self.noise)

    @property
    def _inputs_at_once(self) -> int:
        """The number of inputs whose copies are made together; 1 if the noise has no way of its own to do so."""
        if not describes(self.noise, "copies_of_each", "copies"):
            return 1
        return max(1, numbers_at_once(self.x) // max(1, self.count * self.x.numel()))

    def _copies_of_each(self, xs: Tensor) -> Tensor:
        return require_copies(self.noise.copies_of_each(xs), xs[0], (len(xs), self.count), self.noise)


class Drawn:
    """The samples that one procedure has requested so far. A bound needs samples that nothing else has used.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> from smoothing.streams import Stage
        >>> twice = [Samples(torch.zeros(2), Gaussian(0.5), whole, Stream(0, 0, Stage.SELECTION), 100)] * 2
        >>> Drawn().require_fresh(twice)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier: samples 0 to 99 of stage SELECTION were requested already; ...
    """

    def __init__(self) -> None:
        self._ranges: dict[Stream, list[tuple[Tensor, int, int]]] = {}

    def require_fresh(self, requests: Iterable[Request]) -> None:
        """Note requests. Those for all copies of a finite noise are not random, so they may be repeated.

        Another x is another input, such as one that was attacked: its samples make a statement of their own. A tensor
        with equal numbers is the same input. They are compared only where samples overlap, since a device waits for it.

        Raises:
            SettingError: a request is for samples of the same input and stream as an earlier one.
        """
        for request in requests:
            if (stream := getattr(request, "stream", None)) is None:
                continue
            x, first, end = request.x, request.first, request.first + request.count
            ranges = self._ranges.setdefault(stream, [])
            for other, begin, stop in ranges:
                if (least := max(begin, first)) < (most := min(stop, end)) and same_input(other, x):
                    raise SettingError(
                        f"certifier: samples {least} to {most - 1} of stage {getattr(stream.stage, 'name', '')} were "
                        "requested already; a bound needs fresh samples: use another stage, or first=..."
                    )
            if ranges and ranges[-1][0] is x and ranges[-1][2] == first:  # such as those of a certifier in many steps
                first = ranges.pop()[1]
            ranges.append((x, first, end))


def same_input(x: Tensor, other: Tensor) -> bool:
    """Whether two tensors are one input: equal in shape, dtype and all numbers, on one device."""
    if x is other:
        return True
    alike = (x.shape, x.dtype, x.device) == (other.shape, other.dtype, other.device)
    return alike and torch.equal(x, other)


class Checked(list[Request]):
    """Requests of several procedures, for each of which `Drawn.require_fresh` was called."""


def whole(outputs: Tensor) -> Tensor:
    """A `reduce` that keeps the outputs themselves."""
    return outputs


Procedure = Generator[list[Request], list[list[Tensor]], R]
