"""Noisy inputs on a grid, so that floating-point rounding cannot distort their distribution.

Q rounds each number to the nearest multiple of 1 / grid. The certified function is f after Q, smoothed with the exact
noise. f sees an integer over grid, which reveals nothing about the noise except its rounded value. This prevents the
attack of Voracek and Hein, "Sound Randomized Smoothing in Floating-Point Arithmetic" (2023). The proofs are in
docs/soundness.md.

An input represents real numbers. A float32 number that is nearest to some k / grid represents k / grid, such as the
levels of an image. Every other number represents itself. Radii are distances between these real numbers.
"""

from functools import cached_property

import torch
from torch import Tensor

from smoothing.arguments import whole_number
from smoothing.errors import SettingError

MOST_COORDINATES = 2**18  # of an input, such as 3 x 295 x 295
LEAST_SCALE, MOST_SCALE = 0.5, 2.0**20  # of the noise, in grid steps
MISROUNDED = 2.0**-47  # a coordinate is rounded wrongly with probability at most this times (scale + 1)


def checked_grid(grid: int | None, scale: float) -> int | None:
    """The grid, or None for 0.

    Args:
        grid: grid steps per unit.
        scale: sigma or lambda of the noise, in the units of the input.

    Raises:
        SettingError: grid is not from 0 to 2^16, or it is too coarse for the noise.

    Examples:
        >>> checked_grid(255, scale=0.25), checked_grid(0, scale=0.25)
        (255, None)
    """
    if grid is None or not (grid := whole_number("noise.grid", grid, -(2**60))):
        return None
    if not 0 < grid <= 2**16:
        raise SettingError(f"noise.grid: expected 1 to {2**16}, or 0 to leave noise unrounded, got {grid}")
    if not LEAST_SCALE <= scale * grid <= MOST_SCALE:
        raise SettingError(
            f"noise.grid: noise of {scale:g} is {scale * grid:.3g} steps of 1/{grid}; expected {LEAST_SCALE} to "
            f"{MOST_SCALE:g}. Use another multiple of the data's levels, or 0 to leave noise unrounded"
        )
    return grid


def total_variation(steps: float) -> float:
    """Upper bound 2^18 2^-47 (steps + 1) on the total variation distance from the drawn to the exact noisy inputs.

    Args:
        steps: sigma or lambda of the noise in grid steps, at least 1/2.

    Examples:
        >>> total_variation(0.25 * 255) < 2e-7
        True
    """
    return MOST_COORDINATES * MISROUNDED * (steps + 1)


def require_countable(x: Tensor) -> None:
    """Raise SettingError unless `total_variation` covers such inputs as x."""
    if x.numel() > MOST_COORDINATES:
        raise SettingError(
            f"input: {x.numel()} coordinates, but noise.grid certifies at most {MOST_COORDINATES}; use noise.grid=0, "
            "which does not account for floating-point errors"
        )
    if x.dtype == torch.float64:
        raise SettingError("input: noise.grid certifies float32 inputs, got float64; use x.float(), or noise.grid=0")


class GridSteps:
    """An input in grid steps, and its rounded noisy copies.

    Args:
        x: an input, (*shape), float32 or coarser, so that x * grid is exact in float64; absolute values below 2^36.
        grid: grid steps per unit.

    Attributes:
        k, off: the real numbers that x represents are k + off grid steps, exactly: nearest whole number and remainder,
            each (*shape), float64.

    Examples:
        >>> GridSteps(torch.tensor([0.5, 1.0]), grid=4).whole
        tensor([2., 4.])
    """

    def __init__(self, x: Tensor, grid: int) -> None:
        self.grid, self._dtype = grid, x.dtype
        y = x.double() * grid
        self.k = y.round()
        self.off = (y - self.k).masked_fill_((self.k / grid).float() == x.float(), 0)

    @cached_property
    def whole(self) -> Tensor | None:
        """The input in grid steps, (*shape), float32; None unless all of it is on the grid, with sizes below 2^22.

        The host waits for the device to know.
        """
        return self.k.float() if ((self.off == 0) & (self.k.abs() < 2**22)).all() else None

    def rounded_sum(self, noise: Tensor) -> Tensor:
        """The rounded noisy inputs Q(x + noise): (count, *shape) -> (count, *shape), in x's dtype.

        Where x is on the grid, the noise is rounded by itself and added as an integer.

        Args:
            noise: in grid steps, float64; changed in place.

        Examples:
            >>> GridSteps(torch.tensor([0.5]), grid=4).rounded_sum(torch.tensor([[0.3], [0.6]], dtype=torch.float64))
            tensor([[0.5000],
                    [0.7500]])
        """
        return noise.add_(self.off).round_().add_(self.k).to(self._dtype).div_(self.grid)
