"""Radii: compared with the printed formulas on dense grids, and with each other; sample sizes; theorem 6."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from smoothing import Gaussian, SettingError
from smoothing.radii import (
    cohen_radius,
    high_probability_accuracy,
    largest_radius,
    least_samples,
    lecuyer_radius,
    li_radius,
)

RADII = (cohen_radius, lecuyer_radius, li_radius)
PAIRS = [(0.51, 0.49), (0.6, 0.4), (0.75, 0.25), (0.9, 0.1), (0.99, 0.01), (0.9999, 1e-4), (0.5, 0.2), (0.2, 0.01)]


@pytest.mark.parametrize(("p_a", "p_b"), PAIRS)
def test_cohen_is_the_formula_rounded_down(p_a, p_b):
    expected = 0.5 / 2 * (norm.ppf(p_a) - norm.ppf(p_b))
    assert 0 < expected - cohen_radius(0.5, p_a, p_b) < 1e-12
    if p_b == pytest.approx(1 - p_a):
        assert cohen_radius(0.5, p_a) == pytest.approx(0.5 * norm.ppf(p_a), rel=1e-12)
        assert cohen_radius(0.5, p_a) == pytest.approx(Gaussian(0.5).radius(p_a), rel=1e-12)


@pytest.mark.parametrize(("p_a", "p_b"), PAIRS)
def test_lecuyer_is_the_maximum_of_the_formula(p_a, p_b):
    b = np.linspace(0, min(1, math.log(p_a / p_b) / 2), 200_001)[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        grid = 0.5 * b / np.sqrt(2 * np.log(1.25 * (1 + np.exp(b)) / (p_a - np.exp(2 * b) * p_b)))
    assert lecuyer_radius(0.5, p_a, p_b) == pytest.approx(np.nanmax(grid), rel=1e-9)


@pytest.mark.parametrize(("p_a", "p_b"), PAIRS)
def test_li_is_the_maximum_of_the_formula(p_a, p_b):
    a = 1 + np.geomspace(1e-3, 50, 200_001)
    mean = ((p_a ** (1 - a) + p_b ** (1 - a)) / 2) ** (1 / (1 - a))
    grid = 0.5 * np.sqrt(-2 / a * np.log(1 - p_a - p_b + 2 * mean))
    at_one = 0.5 * np.sqrt(-2 * np.log(1 - (np.sqrt(p_a) - np.sqrt(p_b)) ** 2))  # the limit: the geometric mean
    assert li_radius(0.5, p_a, p_b) == pytest.approx(max(np.max(grid), at_one), rel=1e-9)


def test_cohen_is_above_both_everywhere_and_all_grow():
    probabilities = [*np.linspace(0.5001, 0.9999, 60), 1 - 1e-6, 1 - 1e-9, 1 - 1e-15]
    cohen, lecuyer, li = ([radius(1.0, p) for p in probabilities] for radius in RADII)
    assert all(c > max(o) > 0 for c, *o in zip(cohen, lecuyer, li, strict=True))
    for radii in (cohen, li):
        assert np.all(np.diff(radii) > 0)
    assert np.all(np.diff(lecuyer) > -1e-9)


@pytest.mark.parametrize("radius", RADII)
def test_edges(radius):
    assert radius(1.0, 0.5) == radius(1.0, 0.3) == radius(1.0, 0.0) == radius(1.0, 0.2, 0.2) == 0
    assert 0 < radius(1.0, math.nextafter(0.5, 1)) < 1e-15
    assert math.isfinite(radius(1.0, math.nextafter(1, 0)))
    assert math.isfinite(radius(1.0, 0.9, 1e-300))
    assert radius(1.0, 0.6, 0.5) == radius(1.0, 0.6)  # together above 1: the other class has at most 0.4
    assert radius(2.0, 0.8) == pytest.approx(2 * radius(1.0, 0.8), rel=1e-12)


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        *[((sigma, 0.9), "sigma") for sigma in (0.0, math.inf, math.nan)],
        *[((1.0, p_a), "p_a") for p_a in (1.0, -0.1, math.nan)],
        *[((1.0, 0.9, p_b), "p_b") for p_b in (0.0, 1.5, math.nan)],
    ],
)
def test_what_is_out_of_range_is_named(radius, arguments, name):
    with pytest.raises(SettingError, match=f"^{name}: expected"):
        radius(*arguments)


@pytest.mark.parametrize("n", [10, 100, 1000, 100_000, 10_000_000])
def test_largest_radius(n):
    exact = 0.5 * norm.isf(-math.expm1(math.log(0.001) / n))
    assert 0 <= exact - largest_radius(0.5, n, 0.001) < 1e-5 * exact
    assert largest_radius(0.5, 9, 0.001) == 0


@pytest.mark.parametrize("alpha", [0.7, 0.5, 0.1, 0.001, 2**-10, 1e-9])
def test_least_samples(alpha):
    n = least_samples(alpha)
    assert alpha ** (1 / n) > 0.5
    assert n == 1 or alpha ** (1 / (n - 1)) <= 0.5
    assert largest_radius(1.0, n, alpha) > 0
    assert least_samples(0.001) == 10


def test_high_probability_accuracy_has_the_factor_two():
    loss = 0.001 + math.sqrt(2 * 0.001 * 0.999 * math.log(1000) / 500) + math.log(1000) / 1500
    assert high_probability_accuracy(0.5, 500, 0.001, 0.001) == pytest.approx(0.5 - loss, abs=1e-12)
    assert high_probability_accuracy(0.01, 500, 0.001, 0.001) == 0


def test_high_probability_accuracy_is_rarely_wrong():
    """Bernstein's bound holds: half of the examples are robust, and each other one passes with probability alpha."""
    rng, m, alpha, rho = np.random.default_rng(0), 500, 0.05, 0.05
    passed = (m // 2 + rng.binomial(m - m // 2, alpha, 20_000)) / m
    wrong = np.mean([high_probability_accuracy(share, m, alpha, rho) > 0.5 for share in passed])
    assert wrong <= rho


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((1.1, 5, 0.1, 0.1), "accuracy"),
        ((0.5, 0, 0.1, 0.1), "m"),
        ((0.5, 5, 0.0, 0.1), "alpha"),
        ((0.5, 5, 0.1, 1.0), "rho"),
    ],
)
def test_high_probability_accuracy_refuses(arguments, name):
    with pytest.raises(SettingError, match=f"^{name}: expected"):
        high_probability_accuracy(*arguments)


@pytest.mark.parametrize("alpha", [0, 1, -1])
def test_least_samples_refuses(alpha):
    with pytest.raises(SettingError, match=r"^alpha: expected"):
        least_samples(alpha)
