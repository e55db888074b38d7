"""Isotropic Gaussian noise, against l2 perturbations."""

from collections.abc import Callable
from typing import ClassVar

import scipy
from torch import Tensor

from smoothing.arguments import number
from smoothing.errors import SettingError
from smoothing.noise.base import Noise
from smoothing.noise.from_bits import fine_normal, rounded_normal
from smoothing.noise.grid import GridSteps, checked_grid, require_countable, total_variation
from smoothing.radii import cohen_radius
from smoothing.rounding import down, up
from smoothing.streams import BlockSource


class Gaussian(Noise):
    """Isotropic Gaussian noise N(0, sigma^2 I) (Cohen et al. 2019, lemma 4; Kumar and Goldstein 2021, lemma 2).

    shift(p, eps) = Phi(Phi^-1(p) - eps / sigma), mass(p0, eps) = Phi(Phi^-1(p0) + eps / sigma), in l2. The certified
    radius is R = sigma / 2 (Phi^-1(p_A) - Phi^-1(p_B)).

    Args:
        sigma: standard deviation, in the units of the input, > 0.
        grid: round noisy inputs to multiples of 1 / grid, and account for floating-point errors; see
            `smoothing.noise.grid`. 0 or None: float32 noise, whose rounding errors are not accounted for.

    Attributes:
        tv: bound on those errors, as a total variation distance. shift, mass and radius account for it.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> noise = Gaussian(sigma=0.5)
        >>> round(noise.radius(0.99), 4)  # sigma Phi^-1(0.99)
        1.1632
        >>> round(noise.shift(0.99, eps=0.5), 4), round(noise.mass(0.55, eps=0.5), 4)
        (0.9076, 0.8698)
        >>> Gaussian(sigma=0.5, grid=255).radius(0.99) < noise.radius(0.99)  # accounts for rounding
        True
    """

    threat_norm: ClassVar[str] = "l2"
    rowwise: ClassVar[bool] = True
    additive: ClassVar[bool] = True

    def __init__(self, sigma: float, grid: int | None = None) -> None:
        sigma = number("noise.sigma", sigma)
        if not 0 < sigma < float("inf"):
            raise SettingError(f"noise.sigma: expected a positive number, got {sigma}")
        self.sigma, self.grid = sigma, checked_grid(grid, sigma)
        self.tv = total_variation(sigma * self.grid) if self.grid else 0.0

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        return Gaussian.around(self, x)(count, source)

    def around(self, x: Tensor) -> Callable[[int, BlockSource], Tensor]:
        if (grid := self.grid) is None:
            return lambda count, source: source.normal((count, *x.shape)).to(x.dtype).mul_(self.sigma).add_(x)
        steps, y = self.sigma * grid, GridSteps(x, grid)

        def draw(count: int, source: BlockSource) -> Tensor:
            bits = source.bits((count, *x.shape))
            if y.whole is not None:
                return rounded_normal(bits, steps).add_(y.whole).to(x.dtype).div_(grid)
            return y.rounded_sum(fine_normal(bits).mul_(steps))

        return draw

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        """One noisy copy of each of b inputs, never rounded: training certifies nothing."""
        return source.normal(tuple(x.shape)).to(x.dtype).mul_(self.sigma).add_(x)

    def require(self, x: Tensor) -> None:
        if self.grid is not None:
            require_countable(x)

    def shift(self, p: float, eps: float) -> float:
        """The shift Phi(Phi^-1(p - tv) - eps / sigma) - tv, rounded down."""
        quantile = down(float(scipy.special.ndtri(max(0.0, float(p) - self.tv))))
        return max(0.0, down(float(scipy.special.ndtr(quantile - up(float(eps) / self.sigma)))) - self.tv)

    def mass(self, p0: float, eps: float) -> float:
        """The mass Phi(Phi^-1(p0 + tv) + eps / sigma) + tv, rounded up."""
        quantile = up(float(scipy.special.ndtri(min(1.0, float(p0) + self.tv))))
        return min(1.0, up(float(scipy.special.ndtr(quantile + up(float(eps) / self.sigma)))) + self.tv)

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """The radius sigma / 2 (Phi^-1(p_a - 2 tv) - Phi^-1(p_b + 2 tv)) (Cohen et al. 2019, theorem 1).

        p_b is 1 - p_a if not given. Because of the terms 2 tv, A is also the most probable class of the noisy inputs as
        drawn at x' (docs/soundness.md, lemma 3).
        """
        p_a, p_b = float(p_a), None if p_b is None else float(p_b)
        both = 2 * self.tv
        if 0 <= p_a < both:
            return 0.0
        return cohen_radius(self.sigma, p_a - both, None if p_b is None else min(1.0, p_b + both))

    def __repr__(self) -> str:
        return f"Gaussian(sigma={self.sigma}{f', grid={self.grid}' if self.grid else ''})"
