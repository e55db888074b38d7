"""Isotropic Gaussian noise, against l2 perturbations."""

from typing import ClassVar

from scipy.stats import norm
from torch import Tensor

from smoothing.arguments import number
from smoothing.errors import SettingError
from smoothing.noise.base import Noise
from smoothing.noise.from_bits import fine_normal, rounded_normal
from smoothing.noise.grid import checked_grid, require_countable, rounded_sum, total_variation, whole_steps
from smoothing.radii import cohen_radius
from smoothing.rounding import down, up
from smoothing.streams import BlockSource


class Gaussian(Noise):
    """N(0, sigma^2 I) (Cohen et al. 2019, lemma 4; Kumar and Goldstein 2021, lemma 2).

    Args:
        sigma: standard deviation, in the units of the input, > 0.
        grid: noisy inputs are rounded to multiples of 1 / grid, and floating point errors are taken into account, see
            `smoothing.noise.grid`; 0 or None: float32 noise, whose errors are not.

    Attributes:
        tv: what shift, mass and radius take off for them.

    Raises:
        SettingError: an argument out of its range.
    """

    threat_norm: ClassVar[str] = "l2"

    def __init__(self, sigma: float, grid: int | None = None) -> None:
        sigma = number("noise.sigma", sigma)
        if not 0 < sigma < float("inf"):
            raise SettingError(f"noise.sigma: expected a positive number, got {sigma}")
        self.sigma, self.grid = sigma, checked_grid(grid, sigma)
        self.tv = total_variation(sigma * self.grid) if self.grid else 0.0

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        if self.grid is None:
            return source.normal((count, *x.shape)).to(x.dtype).mul_(self.sigma).add_(x)
        bits, steps = source.bits((count, *x.shape)), self.sigma * self.grid
        if (k := whole_steps(x, self.grid)) is not None:
            return rounded_normal(bits, steps).add_(k).to(x.dtype).div_(self.grid)
        return rounded_sum(x, fine_normal(bits).mul_(steps), self.grid)

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        """As for every noise, and never rounded: training certifies nothing."""
        return source.normal(tuple(x.shape)).to(x.dtype).mul_(self.sigma).add_(x)

    def require(self, x: Tensor) -> None:
        if self.grid is not None:
            require_countable(x)

    def shift(self, p: float, eps: float) -> float:
        """Phi(Phi^-1(p - tv) - eps / sigma) - tv, rounded down."""
        quantile = down(float(norm.ppf(max(0.0, p - self.tv))))
        return max(0.0, down(float(norm.cdf(quantile - up(eps / self.sigma)))) - self.tv)

    def mass(self, p0: float, eps: float) -> float:
        """Phi(Phi^-1(p0 + tv) + eps / sigma) + tv, rounded up."""
        quantile = up(float(norm.ppf(min(1.0, p0 + self.tv))))
        return min(1.0, up(float(norm.cdf(quantile + up(eps / self.sigma)))) + self.tv)

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """Sigma / 2 (Phi^-1(p_a - 2 tv) - Phi^-1(p_b + 2 tv)) (Cohen et al., theorem 1); p_b is 1 - p_a if not given.

        What is taken off keeps A the most probable class of what is drawn at x', too (docs/soundness.md).
        """
        both = 2 * self.tv
        if 0 <= p_a < both:
            return 0.0
        return cohen_radius(self.sigma, p_a - both, None if p_b is None else min(1.0, p_b + both))

    def __repr__(self) -> str:
        return f"Gaussian(sigma={self.sigma}{f', grid={self.grid}' if self.grid else ''})"
