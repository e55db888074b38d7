"""The samples of a stream, written into batches of any size, always with the same numbers.

Numbers are drawn in blocks, a block of a large input in pieces, and blocks of a small one together.
"""

from collections.abc import Callable
from math import log2

from torch import Tensor

from smoothing.streams import BLOCK

AT_ONCE = 2**24  # numbers drawn at once, at most, unless one copy has more: a block of copies of up to 2^18 coordinates
TOGETHER, TOGETHER_ON_GPU = 2**18, 2**23  # numbers of several blocks drawn at once, at most
CACHED = 2**19  # numbers of one piece drawn at once on a CPU, at most

# (count, memory) -> the next `count` copies, (count, *shape). They are written into the memory, (count, *shape), where
# the noise can do that; None for new memory.
Draw = Callable[[int, Tensor | None], Tensor]


class Blocks:
    """Writes the samples of a stream around x, in order, from sample number `first` on.

    Args:
        x: the input, (*shape).
        begin: (number, count) -> a function that draws the copies of `count` blocks from that number on. Those of one
            block may be drawn a few at a time; those of several at once, if `together`.
        first: number of the first sample.
        together: whether several blocks may be drawn together.
    """

    def __init__(self, x: Tensor, begin: Callable[[int, int], Draw], first: int, together: bool) -> None:
        self._x, self._begin, self._at = x, begin, first
        self._piece = piece_size(x)
        self._together = blocks_at_once(x) if together and self._piece == BLOCK else 1
        in_parts = together and x.device.type == "cpu"
        self._part = max(1, CACHED // max(1, x.numel())) if in_parts else self._piece
        self._next = first // BLOCK * (BLOCK // self._piece)  # number of the piece to draw next
        self._draw: Draw
        self._held: Tensor | None = None  # a piece that is partly written

    def write(self, rows: Tensor) -> None:
        """Write the next copies into all of `rows`, (r, *shape). Whole pieces are drawn in place."""
        while len(rows):
            start = self._at % self._piece
            if start == 0 and (blocks := min(len(rows) // BLOCK, self._together)) > 1:
                part = self._several(blocks, rows[: blocks * BLOCK])
            elif start == 0 and len(rows) >= self._piece:
                part = self._drawn(rows[: self._piece])
            else:
                if start == 0 or self._held is None:
                    self._held = self._drawn(None).clone()  # a noise may use its memory again, for another input
                part = self._held[start : start + len(rows)]
            if part.data_ptr() != rows.data_ptr():
                rows[: len(part)].copy_(part)
            self._at += len(part)
            rows = rows[len(part) :]

    def _several(self, blocks: int, out: Tensor) -> Tensor:
        """The next blocks, drawn together. The piece is a block, and none is partly drawn."""
        first, self._next = self._next, self._next + blocks
        return self._begin(first, blocks)(blocks * BLOCK, out)

    def _drawn(self, out: Tensor | None) -> Tensor:
        """The piece that contains the next copy. Earlier pieces of its block are drawn and dropped."""
        wanted = self._at // self._piece
        while True:
            block, within = divmod(self._next, BLOCK // self._piece)
            if within == 0:
                self._draw = self._begin(block, 1)
            copies = self._drawn_piece(out if self._next == wanted else None)
            self._next += 1
            if self._next > wanted:
                return copies

    def _drawn_piece(self, out: Tensor | None) -> Tensor:
        """The next piece. A large one is drawn a few copies at a time, which stay in a CPU's cache."""
        if self._part >= self._piece:
            return self._draw(self._piece, out)
        copies = self._x.new_empty(self._piece, *self._x.shape) if out is None else out
        for part in copies.split(self._part):
            drawn = self._draw(len(part), part)
            if drawn.data_ptr() != part.data_ptr():
                part.copy_(drawn)
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
    return max(1, numbers_at_once(x) // max(1, BLOCK * x.numel()))


def numbers_at_once(x: Tensor) -> int:
    """Numbers of several copies of x that are made at once, at most, unless one block has more."""
    return TOGETHER_ON_GPU if x.is_cuda else TOGETHER
