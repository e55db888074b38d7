"""The guarantee shared by the noises against l1 perturbations: probabilities are 1/(2 lambda)-Lipschitz in l1."""

from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from smoothing.arguments import number
from smoothing.errors import SettingError
from smoothing.noise.base import Noise
from smoothing.rounding import down, up

FLOAT32 = 2.0**-23  # spacing of float32 numbers just above 1
MOST_IN_FLOAT32 = 2**16  # levels that float32 arithmetic counts with certainty


class L1Noise(Noise):
    """The guarantee shared by uniform and splitting noise (Lee et al. 2019; Levine and Feizi 2021, theorems 1 and 2).

    For every class c, p_c(x) = P[f(x under noise) = c] is 1/(2 lambda)-Lipschitz in l1.

    Attributes:
        sigma: standard deviation of uniform noise on [-lambda, lambda], in the units of the input.
        lam: lambda = sqrt(3) sigma, rounded down to the grid if the noise is on one.
    """

    threat_norm: ClassVar[str] = "l1"
    sigma: float
    lam: float

    def shift(self, p: float, eps: float) -> float:
        """The shift p - eps / (2 lambda) - 2 tv, rounded down."""
        return max(0.0, down(float(p) - 2 * self.tv - up(float(eps) / (2 * self.lam))))

    def mass(self, p0: float, eps: float) -> float:
        """The mass p0 + eps / (2 lambda) + 2 tv, rounded up."""
        return min(1.0, up(float(p0) + 2 * self.tv + up(float(eps) / (2 * self.lam))))

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """The radius lambda (p_a - p_b - 4 tv), rounded down (Levine and Feizi 2021, theorem 1).

        p_b is 1 - p_a if not given. Raises SettingError if p_a or p_b is not in [0, 1].
        """
        p_a = float(p_a)
        p_b = 1 - p_a if p_b is None else min(float(p_b), 1 - p_a)
        for name, p in (("p_a", p_a), ("p_b", p_b)):
            if not 0 <= p <= 1:
                raise SettingError(f"{name}: expected a probability, got {p}")
        return max(0.0, down(self.lam * (p_a - p_b - 4 * self.tv)))


def lambda_of(sigma: float) -> float:
    """The half-width lambda = sqrt(3) sigma. Raises SettingError unless sigma is positive and finite.

    Examples:
        >>> round(lambda_of(0.5), 4)
        0.866
    """
    sigma = number("noise.sigma", sigma)
    if not 0 < sigma < float("inf"):
        raise SettingError(f"noise.sigma: expected a positive number, got {sigma}")
    return sqrt(3) * sigma


def steps_of(x: Tensor, levels: int) -> Tensor:
    """The levels k = round(x levels) of x's values: (*shape) -> (*shape), float32 or float64.

    float32 suffices for values that are k / levels but for two roundings: then x levels is within k 2^-22 of k.

    Examples:
        >>> steps_of(torch.tensor([0.0, 0.2, 1.0]), levels=255)
        tensor([  0.,  51., 255.])
    """
    exact = x.dtype == torch.float32 and levels <= MOST_IN_FLOAT32
    return ((x if exact else x.double()) * levels).round_()


def require_grid(x: Tensor, levels: int) -> None:
    """Raise SettingError unless x's values are k / levels, k = 0, ..., levels, rounded to its dtype.

    A value may be off by one more float32 rounding, as x = k * (1 / levels) is: k is still certain. The dtype must
    distinguish all levels: bfloat16 distinguishes up to 256, float16 2048.
    """
    precision = torch.finfo(x.dtype).eps
    if levels * precision > 2:
        name = str(x.dtype).removeprefix("torch.")
        raise SettingError(f"input: {name} cannot distinguish {levels + 1} levels; use x.float()")
    nearest = steps_of(x, levels).clamp_(0, levels).div_(levels).to(x.dtype)
    if torch.equal(nearest, x):
        return
    on_grid = (nearest.double() - x.double()).abs() <= min(precision, FLOAT32)
    if not bool(on_grid.all()):
        worst = float(x[~on_grid].flatten()[0])
        raise SettingError(
            f"input: {worst:g} is not a multiple of 1/{levels} from 0 to 1; splitting noise certifies only quantised "
            f"images. Round the images to {levels + 1} levels, or use noise=uniform or gaussian"
        )
