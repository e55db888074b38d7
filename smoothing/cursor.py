"""The noisy copies of a request, written into batches of any size, always with the same numbers."""

from collections.abc import Iterator
from math import log2

from torch import Tensor

from smoothing.inputs import require_floating
from smoothing.noise import Noise
from smoothing.sampling import Draw, Request, Samples, whole
from smoothing.streams import BLOCK, Stream

AT_ONCE = 2**24  # numbers drawn at once, at most, unless one copy has more: a block of copies of up to 2^18 coordinates
TOGETHER, TOGETHER_ON_GPU = 2**18, 2**23  # numbers of several blocks drawn at once, at most
CACHED = 2**19  # numbers of one piece drawn at once on a CPU, at most


class Cursor:
    """The position in a request: writes the request's copies into rows of batches, in order, and keeps the answers.

    Attributes:
        left: number of copies not yet written.
        begun: whether some were written.
        answers: what `reduce` returned so far.

    Raises:
        SettingError: certificates under the noise do not cover such inputs.
    """

    def __init__(self, request: Request) -> None:
        require_floating(request.x)
        request.noise.require(request.x)
        self.request, self.left = request, request.count
        self.begun = False
        self.answers: list[Tensor] = []
        self._at = request.first
        self._piece = piece_size(request.x)
        self._together = blocks_at_once(request.x) if request.together and self._piece == BLOCK else 1
        in_parts = request.together and request.x.device.type == "cpu"
        self._part = max(1, CACHED // max(1, request.x.numel())) if in_parts else self._piece
        self._next = request.first // BLOCK * (BLOCK // self._piece)  # number of the piece to draw next
        self._draw: Draw
        self._held: Tensor | None = None  # a piece that is partly written

    def write(self, rows: Tensor) -> None:
        """Write the next copies into all of `rows`, (r, *shape), r <= left. Whole pieces are drawn in place."""
        self.left -= len(rows)
        self.begun = True
        while len(rows):
            start = self._at % self._piece
            if start == 0 and (blocks := min(len(rows) // BLOCK, self._together)) > 1:
                part = self._several(blocks, rows[: blocks * BLOCK])
            elif start == 0 and len(rows) >= self._piece:
                part = self._drawn(rows[: self._piece])[: len(rows)]
            else:
                if start == 0 or self._held is None:
                    self._held = self._drawn(None)
                part = self._held[start : start + len(rows)]
            if part.data_ptr() != rows.data_ptr():
                rows[: len(part)].copy_(part)
            self._at += len(part)
            rows = rows[len(part) :]

    def _several(self, blocks: int, out: Tensor) -> Tensor:
        """The next blocks, drawn together. The piece is a block, and none is partly drawn."""
        first, self._next = self._next, self._next + blocks
        return self.request.blocks(first, blocks)(blocks * BLOCK, out)

    def _drawn(self, out: Tensor | None) -> Tensor:
        """The piece that contains the next copy. Earlier pieces of its block are drawn and dropped."""
        wanted = self._at // self._piece
        while True:
            block, within = divmod(self._next, BLOCK // self._piece)
            if within == 0:
                self._draw = self.request.blocks(block)
            copies = self._drawn_piece(out if self._next == wanted else None)
            self._next += 1
            if self._next > wanted:
                return copies

    def _drawn_piece(self, out: Tensor | None) -> Tensor:
        """The next piece. A large one is drawn a few copies at a time, which stay in a CPU's cache."""
        if self._part >= self._piece:
            return self._draw(self._piece, out)
        copies = self.request.x.new_empty(self._piece, *self.request.x.shape) if out is None else out
        for part in copies.split(self._part):
            drawn = self._draw(len(part), part)
            if drawn.data_ptr() != part.data_ptr():
                part[: len(drawn)].copy_(drawn)  # fewer at the end of a finite noise
        return copies


def piece_size(x: Tensor) -> int:
    """Number of copies of x that are drawn at once: a block, or for large x a power of 2 below it (`AT_ONCE`).

    It depends on x only. So the numbers of a stream do not depend on the batch size, for every noise.

    Examples:
        >>> import torch
        >>> piece_size(torch.zeros(3, 224, 224)), piece_size(torch.zeros(3, 1000, 1000))
        (64, 4)
    """
    return max(1, min(BLOCK, 2 ** int(log2(max(1, AT_ONCE // max(1, x.numel()))))))


def blocks_at_once(x: Tensor) -> int:
    """Number of blocks of x's copies that are drawn together: few enough for a CPU's cache or a small part of a GPU.

    Examples:
        >>> import torch
        >>> blocks_at_once(torch.zeros(1, 8, 8)), blocks_at_once(torch.zeros(1, 28, 28))
        (64, 5)
    """
    most = TOGETHER_ON_GPU if x.is_cuda else TOGETHER
    return max(1, most // max(1, BLOCK * x.numel()))


def noisy_inputs(x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int) -> Iterator[Tensor]:
    """The first `count` samples of a stream around x, (*shape), in batches (b, *shape) with b <= batch_size.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> from smoothing.streams import Stage
        >>> stream = Stream(seed=0, example=0, stage=Stage.PREDICTION)
        >>> [len(batch) for batch in noisy_inputs(torch.zeros(3), Gaussian(sigma=0.5), 150, stream, batch_size=64)]
        [64, 64, 22]
    """
    cursor = Cursor(Samples(x, noise, whole, stream, count))
    while cursor.left:
        rows = x.new_empty(min(batch_size, cursor.left), *x.shape)
        cursor.write(rows)
        yield rows
