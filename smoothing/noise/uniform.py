"""Uniform additive noise, against l1 perturbations."""

from torch import Tensor

from smoothing.arguments import number
from smoothing.noise.from_bits import fine_uniform
from smoothing.noise.grid import checked_grid, require_countable, rounded_sum, total_variation
from smoothing.noise.l1 import L1Noise, lambda_of
from smoothing.streams import BlockSource


class Uniform(L1Noise):
    """U(-lambda, lambda) on every coordinate, independent (Lee et al. 2019; Yang et al. 2020).

    Args:
        sigma: its standard deviation lambda / sqrt(3), in the units of the input, > 0.
        grid: as for `Gaussian`.

    Raises:
        SettingError: an argument out of its range.
    """

    def __init__(self, sigma: float, grid: int | None = None) -> None:
        self.sigma, self.lam = number("noise.sigma", sigma), lambda_of(sigma)
        self.grid = checked_grid(grid, self.lam)
        self.tv = total_variation(self.lam * self.grid) if self.grid else 0.0

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        if self.grid is None:
            return source.uniform((count, *x.shape)).to(x.dtype).mul_(2 * self.lam).sub_(self.lam).add_(x)
        steps = fine_uniform(source.bits((count, *x.shape))).mul_(self.lam * self.grid)
        return rounded_sum(x, steps, self.grid)

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        """As for every noise, and never rounded: training certifies nothing."""
        return source.uniform(tuple(x.shape)).to(x.dtype).mul_(2 * self.lam).sub_(self.lam).add_(x)

    def require(self, x: Tensor) -> None:
        if self.grid is not None:
            require_countable(x)

    def __repr__(self) -> str:
        return f"Uniform(sigma={self.sigma}{f', grid={self.grid}' if self.grid else ''})"
