"""Random numbers keyed by (seed, example, stage, sample block).

A stream does not depend on the batch size, on the order of the examples or on earlier calls. Its first k samples are
the same for every number of samples requested. Stages have independent streams, so no sample is used twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, unique

import numpy as np
import torch
from torch import Tensor

BLOCK = 64  # samples in a block; part of the meaning of a seed, so never tuned


@unique
class Stage(IntEnum):
    """The purpose of a sample. The numbers are part of the meaning of a seed."""

    CENTER = 0
    FRESH_CHECK = 1
    CERTIFICATION = 2
    SELECTION = 3
    ESTIMATION = 4
    PREDICTION = 5
    ATTACK = 6
    BOUND = 7
    COMPARISON = 8  # of a run with its earlier starts; no certificate uses it


class BlockSource:
    """The random numbers of one block, on one device.

    On a CPU: NumPy's counter-based Philox with a key of 128 bits. (A CPU `torch.Generator` uses only 32 bits of its
    seed, so two of 10^5 blocks would probably be equal.) On CUDA: torch's Philox with a key of 64 bits. The two draw
    different numbers from the same distribution. CUDA's numbers may also differ between GPU models (pytorch issue
    196613).

    Args:
        key: identifies the block.
        device: of the numbers.
    """

    def __init__(self, key: np.random.SeedSequence, device: torch.device) -> None:
        self.device = device
        self._out: Tensor | None = None
        if device.type == "cpu":
            self._numpy = np.random.Generator(np.random.Philox(key))
        else:
            self._torch = torch.Generator(device)
            self._torch.manual_seed(seed_of(key))

    def into(self, out: Tensor | None) -> "BlockSource":
        """Write the next numbers of out's shape and dtype into `out`, (n, *shape), not into new memory."""
        self._out = out
        return self

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Independent N(0, 1) numbers, float32, of this shape."""
        if self.device.type == "cpu":
            out = self._memory(shape, torch.float32)
            self._numpy.standard_normal(out=out.numpy(), dtype=np.float32)
            return out
        return self._memory(shape, torch.float32).normal_(generator=self._torch)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Independent uniform numbers on [0, 1), float32 (multiples of 2^-24), of this shape."""
        if self.device.type == "cpu":
            out = self._memory(shape, torch.float32)
            self._numpy.random(out=out.numpy(), dtype=np.float32)
            return out
        return self._memory(shape, torch.float32).uniform_(generator=self._torch)

    def bits(self, shape: tuple[int, ...]) -> Tensor:
        """Independent uniform integers on all of int64, of this shape."""
        if self.device.type == "cpu":
            return torch.from_numpy(self._numpy.bit_generator.random_raw(shape).view(np.int64))
        return self._memory(shape, torch.int64).random_(-(2**63), None, generator=self._torch)

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Independent uniform integers on {0, ..., high - 1}, int32, of this shape; 1 <= high <= 2^31.

        On CUDA: the remainder of 62 random bits, drawn again if it would be biased (`unbiased`). torch's own `randint`
        uses the remainder of 32 bits, which is biased for large `high`.
        """
        if self.device.type == "cpu":
            return torch.from_numpy(self._numpy.integers(high, size=shape, dtype=np.int32))
        bits, spare = (self.bits(shape).bitwise_and_(2**62 - 1) for _ in range(2))
        return unbiased(bits, spare, high)

    def _memory(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        out, self._out = self._out, None
        if out is not None and out.shape == shape and out.dtype == dtype and out.is_contiguous():
            return out
        return torch.empty(shape, dtype=dtype, device=self.device)


def seed_of(key: np.random.SeedSequence) -> int:
    """The seed of a CUDA generator for a key: 63 bits."""
    return int(key.generate_state(1, np.uint64)[0] >> 1)


class SeveralBlocks(BlockSource):
    """The random numbers of several blocks, drawn together: `BLOCK` rows from each block's own source.

    Each block has the numbers that it has alone. A noise that computes each copy from its own row can so handle a whole
    batch at once, which takes fewer steps.

    Args:
        blocks: the sources, on one device. Every shape asked for has `BLOCK` rows for each of them.
    """

    def __init__(self, blocks: Sequence[BlockSource]) -> None:
        self.device, self._blocks = blocks[0].device, blocks
        self._out = None

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        return self._each(BlockSource.normal, shape, torch.float32)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        return self._each(BlockSource.uniform, shape, torch.float32)

    def bits(self, shape: tuple[int, ...]) -> Tensor:
        return self._each(BlockSource.bits, shape, torch.int64)

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        if self.device.type == "cpu":
            return self._each(lambda block, share: block.integers(high, share), shape, torch.int32)
        return super().integers(high, shape)

    def _each(
        self, draw: Callable[[BlockSource, tuple[int, ...]], Tensor], shape: tuple[int, ...], dtype: torch.dtype
    ) -> Tensor:
        if shape[0] != BLOCK * len(self._blocks):
            raise ValueError(f"expected {BLOCK} rows for each of {len(self._blocks)} blocks, got shape {shape}")
        out = self._memory(shape, dtype)
        for block, part in zip(self._blocks, out.split(BLOCK), strict=True):
            drawn = draw(block.into(part), (BLOCK, *shape[1:]))
            if drawn.data_ptr() != part.data_ptr():
                part.copy_(drawn)
        return out


@dataclass(frozen=True)
class Stream:
    """All samples of one stage of one example: blocks 0, 1, 2, ... of `BLOCK` samples each.

    Attributes:
        seed: of the smoothed function, at least 0.
        example: number of the example, at least 0.
        stage: the purpose of the samples.

    Examples:
        >>> stream = Stream(seed=0, example=3, stage=Stage.CERTIFICATION)
        >>> source = stream.block(0, torch.device("cpu"))
        >>> source.normal((2, 3)).shape
        torch.Size([2, 3])
        >>> one, again = (stream.block(7, torch.device("cpu")).bits((4,)) for _ in range(2))
        >>> torch.equal(one, again)
        True
    """

    seed: int
    example: int
    stage: Stage

    def block(self, index: int, device: torch.device) -> BlockSource:
        """The random numbers of block `index`, from its beginning."""
        key = np.random.SeedSequence(self.seed, spawn_key=(self.example, self.stage, index))
        return BlockSource(key, device)

    def blocks(self, first: int, count: int, device: torch.device) -> BlockSource:
        """The random numbers of blocks first, ..., first + count - 1, from their beginnings."""
        if count == 1:
            return self.block(first, device)
        return SeveralBlocks([self.block(index, device) for index in range(first, first + count)])


def unbiased(bits: Tensor, spare: Tensor, high: int) -> Tensor:
    """Uniform integers on {0, ..., high - 1}, int32, from two tensors of 62 random bits per number, int64.

    2^62 is usually not a multiple of `high`, so the remainders of the largest values of `bits` would be biased. `spare`
    replaces those values. A bias remains only if both are among the largest values, with probability at most
    (high / 2^62)^2 < 2^-62.

    Examples:
        >>> unbiased(torch.tensor([7, 2**62 - 1]), torch.tensor([0, 5]), high=3)
        tensor([1, 2], dtype=torch.int32)
    """
    return torch.where(bits < 2**62 // high * high, bits, spare).remainder_(high).to(torch.int32)
