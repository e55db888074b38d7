"""Random ablation, against l0 perturbations: most pixels are hidden (Levine and Feizi 2020, AAAI, arXiv 1911.09272)."""

from fractions import Fraction
from functools import lru_cache
from math import comb, floor, prod
from typing import ClassVar

import torch
from torch import Tensor

from smoothing.arguments import sizes, warn_if_channels_last, whole_number
from smoothing.bisection import least_number
from smoothing.errors import SettingError
from smoothing.noise.base import Noise
from smoothing.rounding import down, up
from smoothing.streams import BlockSource


class Ablation(Noise):
    """k pixels of d, chosen at random, are kept. The others are NaN: hidden, whatever they were.

    A perturbation of r pixels can be seen only if one of them is kept. That has probability
    Delta(r) = 1 - C(d - r, k) / C(d, k) (the paper's theorem 1). So shift(p, eps) = p - Delta(floor(eps)) and
    mass(p0, eps) = p0 + Delta(floor(eps)), in l0, the number of pixels that differ in any channel. The radius is the
    largest r with p_A - Delta(r) > p_B + Delta(r), a whole number; 0 also where nothing is certified.

    A network must know what is hidden: `models.Ablated` passes it x and 1 - x, both 0 in hidden pixels, as in the
    paper. A network that computes with NaN has no class.

    Args:
        keep: k, the number of pixels that are kept, 1 to d.
        shape: shape of an input, (channels, ...): all but the first axis number the pixels.

    Attributes:
        pixels: d.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> noise = Ablation(keep=45, shape=(1, 28, 28))
        >>> round(noise.visible(8), 4)  # a perturbation of 8 pixels is seen
        0.3782
        >>> noise.radius(0.9), round(noise.shift(0.9, eps=8), 4)
        (8.0, 0.5218)
        >>> import numpy as np
        >>> source = BlockSource(np.random.SeedSequence(0), torch.device("cpu"))
        >>> int(noise.sample(torch.zeros(1, 28, 28), 3, source).isnan().logical_not().sum())
        135
    """

    threat_norm: ClassVar[str] = "l0"
    radius_units: ClassVar[str] = "pixels"
    rowwise: ClassVar[bool] = True

    def __init__(self, keep: int, shape: tuple[int, ...]) -> None:
        self.shape = sizes("noise.shape", shape)
        if len(self.shape) < 2:
            raise SettingError(f"noise.shape: expected (channels, ...), got {self.shape}")
        warn_if_channels_last(self.shape)
        self.pixels = prod(self.shape[1:])
        self.keep = whole_number("noise.keep", keep, 1)
        if self.keep > self.pixels:
            raise SettingError(f"noise.keep: expected 1 to {self.pixels}, the number of pixels, got {keep}")
        # The kept pixels are those with the smallest of d random 64-bit numbers. If two of them are equal, which has at
        # most this probability, the choice is not uniform.
        self.tv = up(self.pixels**2 / 2**64)

    def visible(self, eps: float) -> float:
        """Delta: the probability that a perturbation of at most floor(eps) pixels is seen. Rounded up."""
        return up(float(_visible(self.pixels, self.keep, min(self.pixels, floor(eps)))))

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        return self._ablated(x[None], source.bits((count, self.pixels)))

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        return self._ablated(x, source.bits((len(x), self.pixels)))

    def _ablated(self, x: Tensor, bits: Tensor) -> Tensor:
        """(b or 1, *shape) and random numbers (b, pixels) -> (b, *shape)."""
        kept = torch.zeros_like(bits, dtype=torch.bool)
        kept.scatter_(1, bits.topk(self.keep, dim=1, largest=False, sorted=False).indices, True)
        return torch.where(kept.view(len(bits), 1, *self.shape[1:]), x, torch.nan)

    def require(self, x: Tensor) -> None:
        if tuple(x.shape) != self.shape:
            raise SettingError(f"input: expected shape {self.shape}, as the noise's, got {tuple(x.shape)}")

    def shift(self, p: float, eps: float) -> float:
        return max(0.0, down(float(p) - self.visible(eps) - 2 * self.tv)) if eps >= 1 else float(p)

    def mass(self, p0: float, eps: float) -> float:
        return min(1.0, up(float(p0) + self.visible(eps) + 2 * self.tv)) if eps >= 1 else float(p0)

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        p_a = float(p_a)
        p_b = up(1 - p_a) if p_b is None else float(p_b)

        def too_far(changed: int) -> bool:
            return not down(p_a - p_b) > up(2 * (self.visible(changed) + 2 * self.tv))

        return float(least_number(too_far, 0, self.pixels + 1) - 1)

    def __repr__(self) -> str:
        return f"Ablation(keep={self.keep} of {self.pixels})"


@lru_cache(maxsize=4096)
def _visible(pixels: int, keep: int, changed: int) -> Fraction:
    return 1 - Fraction(comb(pixels - changed, keep), comb(pixels, keep))
