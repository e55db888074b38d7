"""Noisy inputs on a grid, so that floating point cannot bend their law.

What is certified is f after Q, where Q rounds each number to the nearest multiple of 1 / grid, smoothed with the exact
noise. f sees an integer over grid, which tells nothing of the noise but its rounded value (against Voracek and Hein,
"Sound Randomized Smoothing in Floating-Point Arithmetic", 2023). The proofs are in docs/soundness.md.

An input stands for real numbers. The float32 number nearest to some k / grid stands for k / grid, which is what an
image's levels are; every other number stands for itself. Radii are distances between these real numbers.
"""

import torch
from torch import Tensor

from smoothing.errors import SettingError

MOST_COORDINATES = 2**18  # of an input: 3 x 295 x 295
LEAST_SCALE, MOST_SCALE = 0.5, 2.0**20
MISROUNDED = 2.0**-47  # probability that a coordinate is rounded wrongly is at most this times (scale + 1)


def checked_grid(grid: int | None, scale: float) -> int | None:
    """The grid, None for 0.

    Args:
        grid: steps in a unit.
        scale: of the noise, in the input's units: sigma or lambda.

    Raises:
        SettingError: it is not from 0 to 2^16, or so coarse that the noise would be lost on it.
    """
    if not grid:
        return None
    if not 0 < grid <= 2**16:
        raise SettingError(f"noise.grid: expected 1 to {2**16}, or 0 for noise that is not rounded, got {grid}")
    if not LEAST_SCALE <= scale * grid <= MOST_SCALE:
        raise SettingError(
            f"noise.grid: noise of {scale:g} is {scale * grid:.3g} steps of 1/{grid}; expected {LEAST_SCALE} to "
            f"{MOST_SCALE:g}. Take another multiple of the data's levels, or 0 for noise that is not rounded"
        )
    return grid


def total_variation(steps: float) -> float:
    """Bound on the distance of the noisy inputs drawn from those of the exact noise: 2^18 2^-47 (steps + 1).

    Args:
        steps: scale of the noise (sigma or lambda) in grid steps, from 1/2.
    """
    return MOST_COORDINATES * MISROUNDED * (steps + 1)


def require_countable(x: Tensor) -> None:
    """Raise SettingError where `total_variation` does not cover such inputs as x."""
    if x.numel() > MOST_COORDINATES:
        raise SettingError(
            f"input: {x.numel()} coordinates, and noise.grid certifies at most {MOST_COORDINATES}; use noise.grid=0, "
            "which leaves floating point errors out of account"
        )
    if x.dtype == torch.float64:
        raise SettingError("input: noise.grid certifies float32 inputs, got float64; use x.float(), or noise.grid=0")


def rounded_sum(x: Tensor, noise: Tensor, grid: int) -> Tensor:
    """Q(x + noise): (*shape) and (count, *shape) -> (count, *shape), in x's dtype.

    Where x is on the grid, the noise is rounded by itself and added as an integer.

    Args:
        x: an input, float32 or coarser, so that x grid is exact in float64; less than 2^36 in size.
        noise: in grid steps, float64; changed in place.
        grid: steps in a unit.
    """
    k, off = _steps(x, grid)
    return noise.add_(off).round_().add_(k).to(x.dtype).div_(grid)


def whole_steps(x: Tensor, grid: int) -> Tensor | None:
    """X in grid steps, float32, where all of it is on the grid, and less than 2^22 in size; else None."""
    k, off = _steps(x, grid)
    return k.float() if not off.any() and bool((k.abs() < 2**22).all()) else None


def _steps(x: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """What x stands for, in grid steps: the nearest whole number and what is left over, both float64, exact."""
    y = x.double() * grid
    k = y.round()
    return k, (y - k).masked_fill_((k / grid).float() == x.float(), 0)
