"""Isotropic Gaussian noise, against l2 perturbations."""

from typing import ClassVar

from scipy.stats import norm
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.noise.base import Noise
from smoothing.radii import cohen_radius
from smoothing.rounding import down, up
from smoothing.streams import BlockSource


class Gaussian(Noise):
    """N(0, sigma^2 I) (Cohen et al. 2019, lemma 4; Kumar and Goldstein 2021, lemma 2).

    Args:
        sigma: standard deviation, in the units of the input, > 0.
    """

    threat_norm: ClassVar[str] = "l2"

    def __init__(self, sigma: float) -> None:
        if not 0 < sigma < float("inf"):
            raise SettingError(f"noise.sigma: expected a positive number, got {sigma}")
        self.sigma = sigma

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        return source.normal((count, *x.shape)).to(x.dtype).mul_(self.sigma).add_(x)

    def shift(self, p: float, eps: float) -> float:
        """Phi(Phi^-1(p) - eps / sigma), rounded down."""
        return down(float(norm.cdf(norm.ppf(p) - up(eps / self.sigma))))

    def mass(self, p0: float, eps: float) -> float:
        """Phi(Phi^-1(p0) + eps / sigma), rounded up."""
        return min(1.0, up(float(norm.cdf(norm.ppf(p0) + up(eps / self.sigma)))))

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """Sigma / 2 (Phi^-1(p_a) - Phi^-1(p_b)) (Cohen et al., theorem 1); sigma Phi^-1(p_a) without p_b."""
        return cohen_radius(self.sigma, p_a, p_b)

    def __repr__(self) -> str:
        return f"Gaussian(sigma={self.sigma})"
