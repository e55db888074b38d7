"""Splitting noise with independent coordinates (SSN), against l1 perturbations."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from smoothing.arguments import number, whole_number
from smoothing.errors import SettingError
from smoothing.noise.l1 import L1Noise, lambda_of, require_grid, steps_of
from smoothing.streams import BlockSource

EXACT = 2**24  # float32 represents all integers up to this one


class Splitting(L1Noise):
    """Splitting noise with independent coordinates, SSN (Levine and Feizi 2021, theorem 2).

    Each coordinate i draws s_i ~ U(0, 2 lambda). The points s_i, s_i + 2 lambda, ... split [0, 1] into intervals. The
    noisy input has the middle of the interval that contains x_i: x~_i = (min(s_i, 1) + [x_i > s_i]) / 2 if
    lambda >= 1/2.

    shift(p, eps) = p - eps / (2 lambda), mass(p0, eps) = p0 + eps / (2 lambda), in l1. The certified radius is
    R = lambda (p_A - p_B).

    s_i is drawn from the midpoints of a grid of more than 10^6 steps per unit that contains every level of the image.
    All arithmetic is in integers. So for images on the levels, and perturbed images on the finer grid, the guarantee
    also holds in floating point.

    Args:
        sigma: lambda / sqrt(3), in the units of the input, > 0. lambda is rounded down to the fine grid.
        levels: inputs' values are k / levels, k = 0, ..., levels.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> noise = Splitting(sigma=0.5, levels=255)
        >>> round(noise.lam, 4), round(noise.radius(0.99), 4)  # sqrt(3) sigma, 2 lambda (0.99 - 1/2)
        (0.866, 0.8487)
        >>> round(noise.shift(0.99, eps=0.5), 4)
        0.7013
    """

    rowwise: ClassVar[bool] = True

    def __init__(self, sigma: float, levels: int) -> None:
        self.sigma, self.levels = number("noise.sigma", sigma), checked_levels(levels)
        sigma, levels = self.sigma, self.levels
        self.units = levels * (EXACT // 4 // levels)  # steps of the fine grid per unit
        self.steps = int(2 * lambda_of(sigma) * self.units)
        if not 1 <= self.steps < 2**29:
            raise SettingError(f"noise.sigma: expected {0.3 / self.units:.1g} to {2**27 / self.units:g}, got {sigma}")
        self.lam = self.steps / (2 * self.units)

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        return Splitting.around(self, x)(count, source)

    def around(self, x: Tensor) -> Callable[[int, BlockSource], Tensor]:
        doubled = steps_of(x, self.levels).int() * (2 * self.units // self.levels)

        def draw(count: int, source: BlockSource) -> Tensor:
            s = source.integers(self.steps, (count, *x.shape)).mul_(2).add_(1)
            return split(doubled, s, 2 * self.steps, self.units).to(x.dtype)

        return draw

    def require(self, x: Tensor) -> None:
        require_grid(x, self.levels)

    def require_each(self, xs: Tensor) -> None:
        require_grid(xs, self.levels)

    def __repr__(self) -> str:
        return f"Splitting(sigma={self.sigma}, levels={self.levels})"


def checked_levels(levels: int) -> int:
    """The grid steps per unit. Raises SettingError unless they are 1 to 2^16 - 1."""
    if not 1 <= (found := whole_number("noise.levels", levels)) < 2**16:
        raise SettingError(f"noise.levels: expected 1 to {2**16 - 1}, got {levels}")
    return found


def split(x: Tensor, s: Tensor, period: int, units: int) -> Tensor:
    """The middle of the interval of [0, 1] that contains x, split at s and at every period from s (eqs. 27 and 28).

    Args:
        x: numerators over 2 units, even, int32, any shape.
        s: one split position for each, numerators over 2 units, odd, int32; broadcasts with x. So s never equals x.
        period: 2 lambda, as a numerator over 2 units.
        units: steps per unit, with 4 units <= 2^24. So the result is rounded once, in a division of integers.

    Returns:
        (min(upper, 1) + max(lower, 0)) / 2, float32. upper is the first split position above x, lower the last below.

    Examples:
        >>> import torch
        >>> split(torch.tensor([4]), torch.tensor([3]), period=20, units=8)  # 4/16, split at 3/16: middle of [3/16, 1]
        tensor([0.5938])
    """
    upper = (s - x).remainder_(period).add_(x)
    lower = (upper - period).clamp_(min=0)
    return upper.clamp_(max=2 * units).add_(lower).float().div_(4 * units)
