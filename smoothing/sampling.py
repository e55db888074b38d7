"""What a procedure asks a base function for: its outputs at noisy copies of an input, and where those come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from smoothing.inputs import require_floating
from smoothing.noise import FiniteNoise, Noise
from smoothing.streams import BLOCK, Stream

R = TypeVar("R")


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
    def block(self, index: int, out: Tensor | None) -> Tensor:
        """Copies number `index` BLOCK and the following, at most BLOCK; in `out`, (BLOCK, *shape), where it can be."""


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

    def block(self, index: int, out: Tensor | None) -> Tensor:
        return self.noise.sample(self.x, BLOCK, self.stream.block(index, self.x.device, out))


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

    def block(self, index: int, out: Tensor | None) -> Tensor:
        return self.noise.copies(self.x, index * BLOCK, min(BLOCK, self.count - index * BLOCK))


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
        self._held: tuple[int, Tensor] | None = None  # a block of which a part is used

    def write(self, rows: Tensor) -> None:
        """The next copies into all of `rows`, (r, *shape), r <= left. Whole blocks are drawn where they belong."""
        self.left -= len(rows)
        self.begun = True
        while len(rows):
            index, start = divmod(self._at, BLOCK)
            if start == 0 and len(rows) >= BLOCK:
                part = self.request.block(index, rows[:BLOCK])[: len(rows)]
            else:
                if self._held is None or self._held[0] != index:
                    self._held = index, self.request.block(index, None)
                part = self._held[1][start : start + len(rows)]
            if part.data_ptr() != rows.data_ptr():
                rows[: len(part)].copy_(part)
            self._at += len(part)
            rows = rows[len(part) :]


def noisy_inputs(x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int) -> Iterator[Tensor]:
    """The first `count` samples of a stream around x, (*shape), as batches (b, *shape) with b <= batch_size."""
    cursor = Cursor(Samples(x, noise, whole, stream, count))
    while cursor.left:
        rows = x.new_empty(min(batch_size, cursor.left), *x.shape)
        cursor.write(rows)
        yield rows
