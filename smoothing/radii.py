"""Certified l2 radii of a classifier smoothed with Gaussian noise, from bounds on its probabilities, by three theorems.

Pure functions in float64, rounded down. p_a is a lower bound on the probability of class A, p_b an upper bound on that
of every other class: 1 - p_a where not given, and never taken to be more, because the probabilities sum to at most 1.
A radius is 0 where p_a <= p_b: nothing is certified. The units are sigma's.
"""

from collections.abc import Callable
from math import floor, log, log1p, log2, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from smoothing.errors import SettingError
from smoothing.rounding import down, up
from smoothing.statistics import clopper_pearson_lower

Values = NDArray[np.float64]
GRID = 257  # points that bracket a maximum before it is refined


def cohen_radius(sigma: float, p_a: float, p_b: float | None = None) -> float:
    """Sigma/2 (Phi^-1(p_a) - Phi^-1(p_b)) (Cohen et al. 2019, theorem 1); sigma Phi^-1(p_a) without p_b.

    Raises:
        SettingError: sigma <= 0; p_a outside [0, 1) or p_b outside (0, 1]: no sample shows certainty.
    """
    p_b = _checked(sigma, p_a, p_b)
    if p_a <= p_b:
        return 0.0
    return max(0.0, down(sigma / 2 * (down(float(norm.ppf(p_a))) - up(float(norm.ppf(p_b))))))


def lecuyer_radius(sigma: float, p_a: float, p_b: float | None = None) -> float:
    """`lecuyer_radius_at` at the best b in (0, min(1, ln(p_a/p_b)/2)]. Errors: see `cohen_radius`.

    Every b gives a true radius, so a maximum missed by a little is still one.
    """
    p_b = _checked(sigma, p_a, p_b)
    if p_a <= p_b:
        return 0.0
    top = min(1.0, _half_log_ratio(p_a, p_b))
    return _largest(lambda share: lecuyer_radius_at(sigma, p_a, p_b, share * top), 0.0, 1.0)


def li_radius(sigma: float, p_a: float, p_b: float | None = None) -> float:
    """`li_radius_at` at the best a > 1. Errors: see `cohen_radius`.

    The best a is found on a logarithmic scale of a - 1. It may be next to 1, and is of the order of 1 / (p_a - p_b) at
    most: the logarithm is bounded, and 2/a falls.
    """
    p_b = _checked(sigma, p_a, p_b)
    if p_a <= p_b:
        return 0.0
    return _largest(lambda t: li_radius_at(sigma, p_a, p_b, 1 + np.exp(t)), -24.0, log(2 / (p_a - p_b)) + 2)


def lecuyer_radius_at(sigma: float, p_a: float, p_b: float, b: Values) -> Values:
    """Sigma b / sqrt(2 ln(1.25 (1 + e^b) / (p_a - e^(2b) p_b))) (Lecuyer et al. 2019; Cohen et al., appendix I.1).

    Not rounded; 0 < p_b < p_a.

    Args:
        sigma: of the noise.
        p_a: see the module.
        p_b: likewise.
        b: in [0, min(1, ln(p_a/p_b)/2)], any shape. 0 at both ends, at the second one only where it is below 1.
    """
    b = np.asarray(b, dtype=np.float64)
    with np.errstate(divide="ignore"):  # b at its end: the logarithm is infinite, the radius 0
        margin = np.log(p_a) + np.log(-np.expm1(2 * np.minimum(0, b - _half_log_ratio(p_a, p_b))))
    return sigma * b / np.sqrt(2 * (log(1.25) + np.logaddexp(0, b) - margin))


def li_radius_at(sigma: float, p_a: float, p_b: float, a: Values) -> Values:
    """Sigma sqrt(-(2/a) ln(1 - p_a - p_b + 2 M)), M = ((p_a^(1-a) + p_b^(1-a)) / 2)^(1/(1-a)).

    Li et al. 2018; Cohen et al., appendix I.2. Not rounded; 0 < p_b < p_a.

    Args:
        sigma: of the noise.
        p_a: see the module.
        p_b: likewise; p_a + p_b <= 1.
        a: order of the Renyi divergence, > 1, any shape.
    """
    a = np.asarray(a, dtype=np.float64)
    w = _half_log_ratio(p_a, p_b)
    # M = (p_a + p_b)/2 e^exponent: nothing cancels, where p_a is near p_b or p_b is tiny
    exponent = -(_log_cosh((a - 1) * w) / (a - 1) + _log_cosh(np.asarray(w)))
    both = min(1.0, p_a + p_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.log1p(both * np.expm1(exponent))
        far = np.logaddexp(np.log1p(-both), log(both) + exponent)
    return sigma * np.sqrt(-2 / a * np.where(exponent > -1, near, far))


def largest_radius(sigma: float, n: int, alpha: float) -> float:
    """Sigma Phi^-1(alpha^(1/n)): the radius where all n samples agree; no example gets more. 0 where that is <= 1/2."""
    return cohen_radius(sigma, clopper_pearson_lower(n, n, alpha))


def least_samples(alpha: float) -> int:
    """The least n with alpha^(1/n) > 1/2: fewer samples can never certify. Raises SettingError: alpha not in (0, 1)."""
    if not 0 < alpha < 1:
        raise SettingError(f"alpha: expected a probability strictly between 0 and 1, got {alpha}")
    n = max(1, floor(log2(1 / alpha)))
    while clopper_pearson_lower(n, n, alpha) <= 0.5:
        n += 1
    return n


def high_probability_accuracy(accuracy: float, m: int, alpha: float, rho: float) -> float:
    """Lower bound on the true certified accuracy, false with probability <= rho (Cohen et al., theorem 6). In [0, 1].

    accuracy - alpha - sqrt(2 alpha (1 - alpha) ln(1/rho) / m) - ln(1/rho) / (3m). The 2 is the theorem's; the authors'
    script leaves it out.

    Args:
        accuracy: share of m test examples that were certified correctly.
        m: test examples.
        alpha: failure probability of each certificate.
        rho: failure probability of this bound.
    """
    if not 0 <= accuracy <= 1:
        raise SettingError(f"accuracy: expected a number from 0 to 1, got {accuracy}")
    if m < 1:
        raise SettingError(f"m: expected at least 1 test example, got {m}")
    for name, value in (("alpha", alpha), ("rho", rho)):
        if not 0 < value < 1:
            raise SettingError(f"{name}: expected a probability strictly between 0 and 1, got {value}")
    loss = alpha + sqrt(2 * alpha * (1 - alpha) * log(1 / rho) / m) + log(1 / rho) / (3 * m)
    return max(0.0, down(accuracy - up(loss)))


def _checked(sigma: float, p_a: float, p_b: float | None) -> float:
    """p_b, at most 1 - p_a."""
    if not 0 < sigma < float("inf"):
        raise SettingError(f"sigma: expected a positive number, got {sigma}")
    if not 0 <= p_a < 1:
        raise SettingError(f"p_a: expected a lower bound from 0 to below 1, got {p_a}")
    if p_b is None:
        return 1 - p_a
    if not 0 < p_b <= 1:
        raise SettingError(f"p_b: expected an upper bound from above 0 to 1, got {p_b}")
    return min(p_b, 1 - p_a)


def _half_log_ratio(p_a: float, p_b: float) -> float:
    """ln(p_a / p_b) / 2, accurate where they are close."""
    return log1p((p_a - p_b) / p_b) / 2


def _log_cosh(x: Values) -> Values:
    """The logarithm of cosh(x) for x >= 0, accurate near 0 and without overflow."""
    return np.where(x < 1, np.log1p(2 * np.sinh(np.minimum(x, 1) / 2) ** 2), x + np.log1p(np.exp(-2 * x)) - log(2))


def _largest(value: Callable[[Values], Values], low: float, high: float) -> float:
    """The maximum of `value` over [low, high], to a relative 1e-9, rounded down: a grid brackets it."""
    grid = np.linspace(low, high, GRID)
    values = value(grid)
    best = int(np.argmax(values))
    bracket = (grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)])
    found = minimize_scalar(lambda t: -float(value(t)), bounds=bracket, method="bounded", options={"xatol": 1e-10})
    return max(0.0, down(max(-float(found.fun), float(values[best]))))
