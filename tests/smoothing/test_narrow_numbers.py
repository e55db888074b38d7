"""Settings may be NumPy numbers of few bits, as images and arrays give them. No sum of them wraps or loses digits."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from smoothing import (
    Ablation,
    BandAblation,
    BlockAblation,
    DeterministicSplitting,
    Gaussian,
    SettingError,
    Splitting,
    Uniform,
)
from smoothing.balanced_guarantee import BalancedSettings
from smoothing.center_guarantee import CenterSettings

CUBE = (1, 4, 4)


@pytest.mark.parametrize("levels", [16, 128, 200, 255])
def test_levels_of_bytes(levels):
    narrow = DeterministicSplitting(0.5, np.uint8(levels), tuple(np.uint8([1, 8, 8])), seed=np.uint8(200))
    wide = DeterministicSplitting(0.5, levels, (1, 8, 8), seed=200)
    assert (narrow.steps, narrow.lam, narrow.shape) == (wide.steps, wide.lam, wide.shape)
    assert torch.equal(narrow.offsets, wide.offsets)
    assert narrow.affected(np.uint8(2)) == wide.affected(2) == 2 * levels
    assert Splitting(0.5, np.uint8(levels)).lam == Splitting(0.5, levels).lam


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
def test_shapes_of_few_bits(kind):
    shape = tuple(kind([1, 28, 28]))
    assert BlockAblation(3, shape).steps == 784
    assert BandAblation(3, shape).affected(kind(5)) == 7
    assert Ablation(kind(45), shape).pixels == 784
    assert Ablation(45, tuple(np.int32([3, 280, 280]))).tv == Ablation(45, (3, 280, 280)).tv


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(0.5),
        Gaussian(0.5, grid=255),
        Uniform(0.5),
        Splitting(0.5, 255),
        Ablation(5, (1, 4, 4)),
        BlockAblation(2, (1, 4, 4)),
    ],
)
def test_probabilities_and_radii_of_few_bits(noise, kind):
    for p in (0.55, 0.7, 0.9, 0.99):
        for eps in (0.1, 0.3, 1.7):
            p_, eps_ = kind(p), kind(eps)
            assert noise.shift(p_, eps_) == noise.shift(float(p_), float(eps_))
            assert noise.mass(p_, eps_) == noise.mass(float(p_), float(eps_))
            assert noise.radius(p_) == noise.radius(float(p_))
            assert noise.radius(p_, kind(0.01)) == noise.radius(float(p_), float(kind(0.01)))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_masses_of_few_bits(kind):
    for q in (0.1, 0.3, 0.5001, 0.7, 0.84, 0.9):
        settings = BalancedSettings(q=kind(q), rho=kind(0.1))
        assert type(settings.q) is type(settings.rho) is float
        assert Fraction(settings.q) + Fraction(settings.rest) > 1
    made = CenterSettings("exact", kind(0.05), kind(0.005), kind(0.005))
    assert {type(made.delta), type(made.alpha1), type(made.alpha2)} == {float}


@pytest.mark.parametrize("shape", [5, "abc", (1, 2.5, 3), (1, -8, 8), (0, 3)])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(SettingError, match=r"noise\.shape"):
        DeterministicSplitting(0.5, 16, shape)


def test_a_grid_is_a_whole_number():
    with pytest.raises(SettingError, match=r"noise\.grid: expected a whole number, got 2\.5"):
        Gaussian(0.5, grid=2.5)
    assert type(Gaussian(0.5, grid=np.uint8(255)).grid) is int
