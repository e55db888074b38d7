"""Random numbers keyed by (seed, example, stage, sample block).

A stream is independent of batch size, of the order of the examples and of what ran before, and the first k samples of
a stream are the same however many are asked for. Stages have independent streams, so no sample is ever used twice.
"""

from dataclasses import dataclass
from enum import IntEnum, unique

import numpy as np
import torch
from torch import Tensor

BLOCK = 64  # samples drawn together; part of what a seed means, so never tuned


@unique
class Stage(IntEnum):
    """What a sample is drawn for. The numbers are part of what a seed means."""

    CENTER = 0
    FRESH_CHECK = 1
    CERTIFICATION = 2
    SELECTION = 3
    ESTIMATION = 4
    PREDICTION = 5
    ATTACK = 6


class BlockSource:
    """The random numbers of one block, on one device.

    Args:
        key: which block.
        device: where the numbers are wanted.

    CPU: NumPy's counter-based Philox, keyed with 128 bits (a CPU `torch.Generator` keeps 32 bits of its seed, and two
    blocks in 10^5 would be likely to coincide). CUDA: torch's Philox, keyed with 64 bits. The two draw different
    numbers of the same law; CUDA's numbers may also differ between GPU models (pytorch issue 196613).
    """

    def __init__(self, key: np.random.SeedSequence, device: torch.device) -> None:
        self.device = device
        self._out: Tensor | None = None
        if device.type == "cpu":
            self._numpy = np.random.Generator(np.random.Philox(key))
        else:
            self._torch = torch.Generator(device)
            self._torch.manual_seed(int(key.generate_state(1, np.uint64)[0] >> 1))

    def into(self, out: Tensor | None) -> "BlockSource":
        """Writes the next float32 numbers of out's shape into `out`, (n, *shape) on the device."""
        self._out = out
        return self

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Independent N(0, 1) numbers, float32, of the given shape."""
        if self.device.type == "cpu":
            out = self._memory(shape)
            self._numpy.standard_normal(out=out.numpy(), dtype=np.float32)
            return out
        return self._memory(shape).normal_(generator=self._torch)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Independent numbers uniform on [0, 1), float32 (multiples of 2^-24), of the given shape."""
        if self.device.type == "cpu":
            out = self._memory(shape)
            self._numpy.random(out=out.numpy(), dtype=np.float32)
            return out
        return self._memory(shape).uniform_(generator=self._torch)

    def bits(self, shape: tuple[int, ...]) -> Tensor:
        """Independent integers uniform on all of int64, of the given shape."""
        if self.device.type == "cpu":
            return torch.from_numpy(self._numpy.bit_generator.random_raw(shape).view(np.int64))
        bits = torch.empty(shape, dtype=torch.int64, device=self.device)
        return bits.random_(-(2**63), None, generator=self._torch)

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Independent integers uniform on {0, ..., high - 1}, int32, of the given shape; 1 <= high <= 2^31.

        CUDA: the remainder of 62 random bits, drawn again where it would be biased (`unbiased`). torch's own `randint`
        takes the remainder of 32 bits, which is biased where high is large.
        """
        if self.device.type == "cpu":
            return torch.from_numpy(self._numpy.integers(high, size=shape, dtype=np.int32))
        bits, spare = (torch.randint(2**62, shape, generator=self._torch, device=self.device) for _ in range(2))
        return unbiased(bits, spare, high)

    def _memory(self, shape: tuple[int, ...]) -> Tensor:
        out, self._out = self._out, None
        if out is not None and out.shape == shape and out.dtype == torch.float32 and out.is_contiguous():
            return out
        return torch.empty(shape, dtype=torch.float32, device=self.device)


@dataclass(frozen=True)
class Stream:
    """All samples of one stage of one example: blocks 0, 1, 2, ... of `BLOCK` samples each."""

    seed: int
    example: int
    stage: Stage

    def block(self, index: int, device: torch.device) -> BlockSource:
        key = np.random.SeedSequence(self.seed, spawn_key=(self.example, self.stage, index))
        return BlockSource(key, device)


def unbiased(bits: Tensor, spare: Tensor, high: int) -> Tensor:
    """Integers on {0, ..., high - 1}, int32, from two numbers of 62 random bits each, int64.

    2^62 is no multiple of most numbers, so the remainder of the last few of `bits` would be biased: there `spare` is
    taken. What is left is the chance that both are among the last few, (high / 2^62)^2 < 2^-62.
    """
    return torch.where(bits < 2**62 // high * high, bits, spare).remainder_(high).to(torch.int32)
