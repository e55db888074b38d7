"""What a procedure asks of a base function: its outputs at noisy copies of an input.

**Naming rule.** A gerund, such as `certifying`, is a function that returns a procedure: a generator to be run by an
`engine.Engine`. The verb, such as `certify`, runs that procedure and returns its result.

A procedure reads like the algorithm in its paper, and the engine decides on batches. It yields a list of requests and
is sent, for each of them, the list of what `reduce` returned, in the order of the copies. It returns its result.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import TypeVar

from torch import Tensor

from smoothing.noise import FiniteNoise, Noise
from smoothing.noise.base import describes, require_copies
from smoothing.noise.check import require_sound
from smoothing.streams import BLOCK, BlockSource, Stream

R = TypeVar("R")  # the result of a procedure

# (count, memory) -> the next `count` copies, fewer at the end, (count, *shape). They are written into the memory,
# (count, *shape), where the noise can do that; None for new memory.
Draw = Callable[[int, Tensor | None], Tensor]


class Request(ABC):
    """Noisy copies of one input, and what to keep of the base function's outputs at them.

    Attributes:
        x: one input, (*shape), floating-point, on the device to compute on.
        noise: the smoothing distribution that makes the copies.
        reduce: function from outputs at some of the copies, (b, *output shape), to what is kept of them, on the same
            device: counts, distances, or the outputs themselves. It is called for each batch that contains some.
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

    @property
    @abstractmethod
    def together(self) -> bool:
        """Whether several blocks may be drawn together."""

    @abstractmethod
    def blocks(self, first: int, count: int = 1) -> Draw:
        """Begin `count` blocks from number `first` on: a function that draws their copies, in order.

        Those of one block may be drawn a few at a time; those of several at once, if `together`.
        """

    def require_sound(self) -> None:
        """Raise BaseFunctionError if the noise draws no copies that a certificate may rely on."""
        require_sound(self.noise, self.x, self._beginning, random=True)

    def _beginning(self, block: int, count: int) -> Tensor:
        return self.blocks(block)(count, None)


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

    @property
    def together(self) -> bool:
        return self.noise.rowwise and describes(self.noise, "rowwise", "sample")

    @cached_property
    def _sample(self) -> Callable[[int, BlockSource], Tensor]:
        if describes(self.noise, "around", "sample"):
            return self.noise.around(self.x)
        return partial(self.noise.sample, self.x)

    def blocks(self, first: int, count: int = 1) -> Draw:
        source = self.stream.blocks(first, count, self.x.device)
        return lambda rows, out: require_copies(self._sample(rows, source.into(out)), self.x, rows, self.noise)


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

    def require_sound(self) -> None:
        require_sound(self.noise, self.x, self._beginning, random=False)

    @property
    def together(self) -> bool:
        return True

    def blocks(self, first: int, count: int = 1) -> Draw:
        numbers = iter(range(first * BLOCK, self.count))

        def draw(rows: int, out: Tensor | None) -> Tensor:
            these = list(islice(numbers, rows))
            if not these:
                return self.x.new_empty(0, *self.x.shape)
            copies = self.noise.copies(self.x, these[0], len(these))
            return require_copies(copies, self.x, len(these), self.noise)

        return draw


def whole(outputs: Tensor) -> Tensor:
    """A `reduce` that keeps the outputs themselves."""
    return outputs


Procedure = Generator[list[Request], list[list[Tensor]], R]
