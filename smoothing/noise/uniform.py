"""Uniform additive noise, against l1 perturbations."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from smoothing.arguments import number
from smoothing.noise.from_bits import fine_uniform
from smoothing.noise.grid import GridSteps, checked_grid, require_countable, total_variation
from smoothing.noise.l1 import L1Noise, lambda_of
from smoothing.streams import BlockSource


class Uniform(L1Noise):
    """Independent U(-lambda, lambda) noise on every coordinate (Lee et al. 2019; Yang et al. 2020).

    shift(p, eps) = p - eps / (2 lambda), mass(p0, eps) = p0 + eps / (2 lambda), in l1. The certified radius is
    R = lambda (p_A - p_B) (Levine and Feizi 2021, theorem 1).

    Args:
        sigma: standard deviation lambda / sqrt(3), in the units of the input, > 0.
        grid: see `Gaussian`.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> noise = Uniform(sigma=0.5)
        >>> round(noise.lam, 4), round(noise.radius(0.99), 4)  # sqrt(3) sigma, 2 lambda (0.99 - 1/2)
        (0.866, 0.8487)
        >>> round(noise.shift(0.99, eps=0.5), 4), round(noise.mass(0.55, eps=0.5), 4)
        (0.7013, 0.8387)
    """

    rowwise: ClassVar[bool] = True
    additive: ClassVar[bool] = True

    def __init__(self, sigma: float, grid: int | None = None) -> None:
        self.sigma, self.lam = number("noise.sigma", sigma), lambda_of(sigma)
        self.grid = checked_grid(grid, self.lam)
        self.tv = total_variation(self.lam * self.grid) if self.grid else 0.0

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        return Uniform.around(self, x)(count, source)

    def around(self, x: Tensor) -> Callable[[int, BlockSource], Tensor]:
        two, lam = 2 * self.lam, self.lam
        if self.grid is None:
            return lambda count, source: source.uniform((count, *x.shape)).to(x.dtype).mul_(two).sub_(lam).add_(x)
        steps, y = lam * self.grid, GridSteps(x, self.grid)
        return lambda count, source: y.rounded_sum(fine_uniform(source.bits((count, *x.shape))).mul_(steps))

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        """One noisy copy of each of b inputs, never rounded: training certifies nothing."""
        return source.uniform(tuple(x.shape)).to(x.dtype).mul_(2 * self.lam).sub_(self.lam).add_(x)

    def require(self, x: Tensor) -> None:
        if self.grid is not None:
            require_countable(x)

    def __repr__(self) -> str:
        return f"Uniform(sigma={self.sigma}{f', grid={self.grid}' if self.grid else ''})"
