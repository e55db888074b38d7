"""Splitting noise with independent coordinates (SSN), against l1 perturbations."""

from torch import Tensor

from smoothing.arguments import number
from smoothing.errors import SettingError
from smoothing.noise.l1 import L1Noise, lambda_of, require_grid, steps_of
from smoothing.streams import BlockSource

EXACT = 2**24  # integers up to this one are float32 numbers


class Splitting(L1Noise):
    """Each coordinate is split at s, s + 2 lambda, ..., s ~ U(0, 2 lambda) (Levine and Feizi 2021, theorem 2).

    What is left of x is the middle of the interval that it lies in, within [0, 1]. s is drawn from the midpoints of a
    grid that every level of the image is on, more than 10^6 a unit, and all is computed in integers: at images on the
    grid, and at any perturbed ones on the finer grid, the guarantee is exact in floating point, too.

    Args:
        sigma: lambda / sqrt(3), in the units of the input, > 0; lambda is rounded down to the fine grid.
        levels: inputs' values are k / levels, k = 0, ..., levels.

    Raises:
        SettingError: an argument out of its range.
    """

    def __init__(self, sigma: float, levels: int) -> None:
        require_levels(levels)
        sigma = number("noise.sigma", sigma)
        self.sigma, self.levels = sigma, levels
        self.units = levels * (EXACT // 4 // levels)  # of the fine grid, from 0 to 1
        self.steps = int(2 * lambda_of(sigma) * self.units)
        if not 1 <= self.steps < 2**29:
            raise SettingError(f"noise.sigma: expected {0.3 / self.units:.1g} to {2**27 / self.units:g}, got {sigma}")
        self.lam = self.steps / (2 * self.units)

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        doubled = steps_of(x, self.levels).int() * (2 * self.units // self.levels)
        s = source.integers(self.steps, (count, *x.shape)).mul_(2).add_(1)
        return split(doubled, s, 2 * self.steps, self.units).to(x.dtype)

    def require(self, x: Tensor) -> None:
        require_grid(x, self.levels)

    def __repr__(self) -> str:
        return f"Splitting(sigma={self.sigma}, levels={self.levels})"


def require_levels(levels: int) -> None:
    if not 1 <= levels < 2**16:
        raise SettingError(f"noise.levels: expected 1 to {2**16 - 1}, got {levels}")


def split(x: Tensor, s: Tensor, period: int, units: int) -> Tensor:
    """The middles of the parts of [0, 1] that x falls into, split at s and every period from it (eqs. 27 and 28).

    Args:
        x: numerators over 2 units, even, int32, any shape.
        s: a split position each, over 2 units, odd, int32, broadcast with x: s = x cannot be.
        period: 2 lambda, over 2 units.
        units: 4 units <= 2^24, so that what is returned is rounded once, in a division of integers.

    Returns:
        (min(upper, 1) + max(lower, 0)) / 2, float32, with upper the first split position above x, lower the last below.
    """
    upper = (s - x).remainder_(period).add_(x)
    lower = (upper - period).clamp_(min=0)
    return upper.clamp_(max=2 * units).add_(lower).float().div_(4 * units)
