"""Uniform additive noise, against l1 perturbations."""

from torch import Tensor

from smoothing.noise.l1 import L1Noise, lambda_of
from smoothing.streams import BlockSource


class Uniform(L1Noise):
    """U(-lambda, lambda) on every coordinate, independent (Lee et al. 2019; Yang et al. 2020).

    Args:
        sigma: its standard deviation lambda / sqrt(3), in the units of the input, > 0.
    """

    def __init__(self, sigma: float) -> None:
        self.sigma, self.lam = sigma, lambda_of(sigma)

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        return source.uniform((count, *x.shape)).to(x.dtype).mul_(2 * self.lam).sub_(self.lam).add_(x)

    def __repr__(self) -> str:
        return f"Uniform(sigma={self.sigma})"
