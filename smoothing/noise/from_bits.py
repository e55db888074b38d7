"""Uniform and normal numbers in float64, each a function of 64 random bits, so that all of its law is known."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

CELLS = 2**16  # of a table: the first 16 bits
MOST_TABLED = 2.0**12  # scale: beyond it, too many cells hold two whole numbers
DOUBT = 1e-9  # of a number: far more than it is off by
UNDECIDED = np.iinfo(np.int16).min


def fine_uniform(bits: Tensor) -> Tensor:
    """Numbers on (-1, 1), float64: (t + 1/2) / 2^63 for t of int64, of any shape.

    Rounded twice, so good to 2^-52 of themselves, next to 0, too.
    """
    return bits.double().add_(0.5).mul_(2.0**-63)


def fine_normal(bits: Tensor) -> Tensor:
    """N(0, 1) numbers, float64, of the shape of the bits, int64: the normal quantile of a `fine_uniform` tail."""
    v = fine_uniform(bits)
    return torch.special.ndtri(v.abs().div_(2)).copysign_(v)


def rounded_normal(bits: Tensor, scale: float) -> Tensor:
    """round(scale z) for the numbers z that `fine_normal` makes of the same bits, to the last one: float32.

    On a CPU nearly all of them are read from a table by their first 16 bits, twice as fast as the normal quantile; for
    the rest, of which those bits leave the whole number open, the quantile is taken.

    Args:
        bits: int64, any shape.
        scale: 0 < scale <= 2^20, so that float32 holds every answer: |z| < 9.3.
    """
    if bits.is_cuda or scale > MOST_TABLED:
        return fine_normal(bits).mul_(scale).round_().float()
    cell = (bits.flatten() >> 48).add_(CELLS // 2)
    whole = _table(scale).index_select(0, cell)
    open_ = torch.from_numpy(np.flatnonzero(whole.numpy() == UNDECIDED))
    found = whole.float()
    found[open_] = fine_normal(bits.flatten()[open_]).mul_(scale).round_().float()
    return found.view(bits.shape)


@lru_cache(maxsize=8)
def _table(scale: float) -> Tensor:
    """round(scale z) by the first 16 bits, int16; `UNDECIDED` where the ends of a cell, some doubt added, disagree.

    Within a cell scale z lies between its ends, as z grows with the bits on either side of 0, where it jumps.
    """
    ends = torch.arange(-CELLS // 2, CELLS // 2 + 1, dtype=torch.float64) / (CELLS // 2)
    size = torch.special.ndtri(ends.abs() / 2).abs() * scale  # inf at 0
    near, far = torch.minimum(size[:-1], size[1:]), torch.maximum(size[:-1], size[1:])
    low, high = (near - DOUBT * (1 + near)).round(), (far + DOUBT * (1 + far)).round()
    sign = torch.where(ends[:-1] < 0, -1.0, 1.0)
    return torch.where(low == high, sign * low, UNDECIDED).to(torch.int16)
