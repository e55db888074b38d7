"""What a procedure asks a base function for: its outputs at noisy copies of an input, and where those come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from math import log2
from typing import TypeVar

from torch import Tensor

from smoothing.inputs import require_floating
from smoothing.noise import FiniteNoise, Noise
from smoothing.streams import BLOCK, Stream

R = TypeVar("R")

AT_ONCE = 2**24  # numbers drawn together, at most, but for one copy: all of a block of up to 2^18 coordinates

# How many copies, and memory (count, *shape) to write them into where it can be -> the next copies, at most so many.
Draw = Callable[[int, Tensor | None], Tensor]


class Request(ABC):
    """Noisy copies of one input, and what is wanted of the base function's outputs at them.

    Attributes:
        x: one input, (*shape), floating-point, on the device to compute on.
        noise: that the copies are made by.
        reduce: the outputs at some of the copies, (b, *output shape), to what is kept of them, on the same device:
            counts, distances, or themselves. Called for each batch that holds some.
        first: number of the first copy.
        count: how many copies.
        shared: whether they may be evaluated in one batch with copies of other inputs. Votes may; outputs whose last
            digits are kept may not, since a network rounds a row otherwise in a batch of another size.
    """

    x: Tensor
    noise: Noise
    reduce: Callable[[Tensor], Tensor]
    first: int
    count: int
    shared: bool

    @abstractmethod
    def open(self, index: int) -> Draw:
        """Begin block `index`: what draws its copies, a few at a time, in order."""


@dataclass(frozen=True, eq=False)
class Samples(Request):
    """`count` samples of a noise, from number `first` of a stream on."""

    x: Tensor
    noise: Noise
    reduce: Callable[[Tensor], Tensor]
    stream: Stream
    count: int
    first: int = 0
    shared: bool = False

    def open(self, index: int) -> Draw:
        source = self.stream.block(index, self.x.device)
        return lambda count, out: self.noise.sample(self.x, count, source.into(out))


@dataclass(frozen=True, eq=False)
class Levels(Request):
    """All noisy copies that a finite noise has."""

    x: Tensor
    noise: FiniteNoise
    reduce: Callable[[Tensor], Tensor]
    shared: bool = False
    first = 0

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.noise.steps

    def open(self, index: int) -> Draw:
        numbers = iter(range(index * BLOCK, self.count))

        def draw(count: int, out: Tensor | None) -> Tensor:
            these = list(islice(numbers, count))
            return self.noise.copies(self.x, these[0], len(these))

        return draw


def whole(outputs: Tensor) -> Tensor:
    """The outputs themselves, where all of them are wanted."""
    return outputs


# Yields what it wants evaluated; is sent, for each request, what `reduce` made of its copies, in their order; returns
# its result. So a procedure reads as in its paper, and whoever runs it decides on batches.
Procedure = Generator[list[Request], list[list[Tensor]], R]


class Cursor:
    """Where a request stands: writes its copies into rows of batches, in order, and keeps what comes of them."""

    def __init__(self, request: Request) -> None:
        """Raises SettingError where certificates under the noise are not about such inputs."""
        require_floating(request.x)
        request.noise.require(request.x)
        self.request, self.left = request, request.count
        self.begun = False
        self.answers: list[Tensor] = []
        self._at = request.first
        self._piece = together(request.x)
        self._next = request.first // BLOCK * (BLOCK // self._piece)  # number of the piece that is drawn next
        self._draw: Draw
        self._held: Tensor | None = None  # a piece of which a part is used

    def write(self, rows: Tensor) -> None:
        """The next copies into all of `rows`, (r, *shape), r <= left. Whole pieces are drawn where they belong."""
        self.left -= len(rows)
        self.begun = True
        while len(rows):
            start = self._at % self._piece
            if start == 0 and len(rows) >= self._piece:
                part = self._drawn(rows[: self._piece])[: len(rows)]
            else:
                if start == 0 or self._held is None:
                    self._held = self._drawn(None)
                part = self._held[start : start + len(rows)]
            if part.data_ptr() != rows.data_ptr():
                rows[: len(part)].copy_(part)
            self._at += len(part)
            rows = rows[len(part) :]

    def _drawn(self, out: Tensor | None) -> Tensor:
        """The piece that the next copy is in. A block is drawn from its start, whatever is left out of it."""
        wanted = self._at // self._piece
        while True:
            block, within = divmod(self._next, BLOCK // self._piece)
            if within == 0:
                self._draw = self.request.open(block)
            copies = self._draw(self._piece, out if self._next == wanted else None)
            self._next += 1
            if self._next > wanted:
                return copies


def together(x: Tensor) -> int:
    """Copies of x that are drawn together: a block, or the largest part of it, a power of 2, that is not too large.

    It depends on x alone, so that the numbers of a stream do not depend on the batch size, whatever a noise draws.
    """
    return max(1, min(BLOCK, 2 ** int(log2(max(1, AT_ONCE // max(1, x.numel()))))))


def noisy_inputs(x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int) -> Iterator[Tensor]:
    """The first `count` samples of a stream around x, (*shape), as batches (b, *shape) with b <= batch_size."""
    cursor = Cursor(Samples(x, noise, whole, stream, count))
    while cursor.left:
        rows = x.new_empty(min(batch_size, cursor.left), *x.shape)
        cursor.write(rows)
        yield rows
