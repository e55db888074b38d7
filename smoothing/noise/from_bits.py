"""Uniform and normal numbers in float64, each a function of 64 random bits, so that its distribution is known exactly.

The random bits of a number are one integer of all int64 (`streams.BlockSource.bits`).
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

CELLS = 2**16  # cells of a table, one for each value of the first 16 bits
MOST_TABLED = 2.0**12  # largest scale with a table: beyond it, too many cells contain two whole numbers
DOUBT = 1e-9  # relative; far more than the error of a quantile
UNDECIDED = np.iinfo(np.int16).min
# Integers plus it are float64, in one pass over the memory.
HALF = torch.tensor(0.5, dtype=torch.float64, device="cpu")


def fine_uniform(bits: Tensor) -> Tensor:
    """Uniform numbers (t + 1/2) / 2^63 on (-1, 1), float64, for random bits t, int64, of any shape.

    They are rounded twice, so their relative error is at most 2^-52, close to 0 too.

    Examples:
        >>> fine_uniform(torch.tensor([-(2**63), 0, 2**62]))
        tensor([-1.0000e+00,  5.4210e-20,  5.0000e-01], dtype=torch.float64)
    """
    return (bits + HALF).mul_(2.0**-63)


def fine_normal(bits: Tensor) -> Tensor:
    """N(0, 1) numbers, float64, of the shape of the bits, int64: the normal quantile of a `fine_uniform` number's tail.

    Examples:
        >>> fine_normal(torch.tensor([-(2**62), 2**62])).tolist()  # the quartiles
        [-0.6744897501960817, 0.6744897501960817]
    """
    t = bits + HALF
    return torch.special.ndtri(t.abs().mul_(2.0**-64)).copysign_(t)


def rounded_normal(bits: Tensor, scale: float) -> Tensor:
    """The numbers round(scale z), float32, for exactly the z that `fine_normal` computes from the same bits.

    On a CPU nearly all of them are looked up in a table by their first 16 bits, twice as fast as computing the normal
    quantile. Where those bits do not determine the whole number, the quantile is computed.

    Args:
        bits: int64, any shape.
        scale: 0 < scale <= 2^20, so that float32 represents every result: |z| < 9.3.

    Examples:
        >>> rounded_normal(torch.tensor([-(2**62), 2**62]), scale=100.0)
        tensor([-67.,  67.])
    """
    if bits.is_cuda or scale > MOST_TABLED:
        return fine_normal(bits).mul_(scale).round_().float()
    cell = (bits.flatten() >> 48).add_(CELLS // 2)
    whole = _table(scale).index_select(0, cell)
    undecided = torch.from_numpy(np.flatnonzero(whole.numpy() == UNDECIDED))
    found = whole.float()
    found[undecided] = fine_normal(bits.flatten()[undecided]).mul_(scale).round_().float()
    return found.view(bits.shape)


@lru_cache(maxsize=8)
def _table(scale: float) -> Tensor:
    """The table of round(scale z) by the first 16 bits, int16; `UNDECIDED` if the widened ends of a cell disagree.

    Within a cell, scale z lies between the values at the cell's ends: z increases with the bits on each side of 0. It
    jumps at 0.
    """
    ends = torch.arange(-CELLS // 2, CELLS // 2 + 1, dtype=torch.float64) / (CELLS // 2)
    size = torch.special.ndtri(ends.abs() / 2).abs() * scale  # inf at 0
    near, far = torch.minimum(size[:-1], size[1:]), torch.maximum(size[:-1], size[1:])
    low, high = (near - DOUBT * (1 + near)).round(), (far + DOUBT * (1 + far)).round()
    sign = torch.where(ends[:-1] < 0, -1.0, 1.0)
    return torch.where(low == high, sign * low, UNDECIDED).to(torch.int16)
