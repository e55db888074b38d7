"""What the noises against l1 perturbations have in common: probabilities are 1/(2 lambda)-Lipschitz in l1."""

from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from smoothing.arguments import number
from smoothing.errors import SettingError
from smoothing.noise.base import Noise
from smoothing.rounding import down, up

FLOAT32 = 2.0**-23  # the distance of float32 numbers around 1


class L1Noise(Noise):
    """The guarantee shared by uniform and splitting noise (Lee et al. 2019; Levine and Feizi 2021, theorems 1 and 2).

    Attributes:
        sigma: standard deviation of the uniform noise on [-lambda, lambda], in the units of the input.
        lam: lambda, sqrt(3) sigma; where noise lives on a grid, rounded down to it.
    """

    threat_norm: ClassVar[str] = "l1"
    sigma: float
    lam: float

    def shift(self, p: float, eps: float) -> float:
        """P - eps / (2 lambda) - 2 tv, rounded down."""
        return max(0.0, down(p - 2 * self.tv - up(eps / (2 * self.lam))))

    def mass(self, p0: float, eps: float) -> float:
        """P0 + eps / (2 lambda) + 2 tv, rounded up."""
        return min(1.0, up(p0 + 2 * self.tv + up(eps / (2 * self.lam))))

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """Lambda (p_a - p_b - 4 tv); p_b is 1 - p_a if not given. Raises SettingError: p_a or p_b not in [0, 1]."""
        p_b = 1 - p_a if p_b is None else min(p_b, 1 - p_a)
        for name, p in (("p_a", p_a), ("p_b", p_b)):
            if not 0 <= p <= 1:
                raise SettingError(f"{name}: expected a probability, got {p}")
        return max(0.0, down(self.lam * (p_a - p_b - 4 * self.tv)))


def lambda_of(sigma: float) -> float:
    """Sqrt(3) sigma. Raises SettingError."""
    sigma = number("noise.sigma", sigma)
    if not 0 < sigma < float("inf"):
        raise SettingError(f"noise.sigma: expected a positive number, got {sigma}")
    return sqrt(3) * sigma


def steps_of(x: Tensor, levels: int) -> Tensor:
    """The levels of x's values, in float64 whatever x's dtype is: (*shape) -> k = round(x levels), (*shape)."""
    return (x.double() * levels).round()


def require_grid(x: Tensor, levels: int) -> None:
    """Raise SettingError unless x's values are k / levels, k = 0, ..., levels, as its dtype rounds them.

    A value may be off by one float32 rounding more (x = k * (1 / levels) is), which leaves no doubt about k. The dtype
    must tell all levels apart: bfloat16 tells up to 256 apart, float16 2048.
    """
    precision = torch.finfo(x.dtype).eps
    if levels * precision > 2:
        name = str(x.dtype).removeprefix("torch.")
        raise SettingError(f"input: {name} cannot tell {levels + 1} levels apart; use x.float()")
    k = steps_of(x, levels)
    gap = ((k / levels).to(x.dtype).double() - x.double()).abs()
    on_grid = (gap <= min(precision, FLOAT32)) & (k >= 0) & (k <= levels)
    if not bool(on_grid.all()):
        worst = float(x[~on_grid].flatten()[0])
        raise SettingError(
            f"input: {worst:g} is not a multiple of 1/{levels} from 0 to 1; splitting noise certifies quantised images "
            f"alone. Round them to {levels + 1} levels, or use noise=uniform or gaussian"
        )
