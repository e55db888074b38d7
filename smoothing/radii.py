"""Certified l2 radii of a classifier smoothed with Gaussian noise, by three theorems.

Pure functions in float64, rounded down. p_a is a lower bound on the probability of class A. p_b is an upper bound on
the probability of every other class. It is 1 - p_a if not given; a larger value is replaced by 1 - p_a, because the
probabilities sum to at most 1. If p_a <= p_b, nothing is certified and the radius is 0. A radius has the units of
sigma.
"""

from collections.abc import Callable
from math import floor, log, log1p, log2, sqrt

import numpy as np
import scipy
from numpy.typing import NDArray

from smoothing.errors import SettingError
from smoothing.rounding import down, up
from smoothing.statistics import clopper_pearson_lower

Values = NDArray[np.float64]
GRID = 257  # points at which a function is evaluated to bracket its maximum


def cohen_radius(sigma: float, p_a: float, p_b: float | None = None) -> float:
    """Cohen et al.'s radius R = sigma/2 (Phi^-1(p_a) - Phi^-1(p_b)) (Cohen et al. 2019, theorem 1).

    Without p_b it is sigma Phi^-1(p_a). No larger l2 ball can be certified from these two bounds (theorem 2).

    Args:
        sigma: standard deviation of the noise, > 0.
        p_a: lower bound on the probability of class A, in [0, 1): no number of samples shows that it is 1.
        p_b: upper bound on the probability of every other class, in (0, 1].

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> round(cohen_radius(0.5, 0.99), 4)
        1.1632
        >>> round(cohen_radius(0.5, 0.6, 0.1), 4)
        0.3837
        >>> cohen_radius(0.5, 0.4)
        0.0
    """
    p_b = _checked(sigma, p_a, p_b)
    if p_a <= p_b:
        return 0.0
    low, high = float(scipy.special.ndtri(p_b)), float(scipy.special.ndtri(p_a))
    return max(0.0, down(sigma / 2 * (down(high) - up(low))))


def lecuyer_radius(sigma: float, p_a: float, p_b: float | None = None) -> float:
    """Lecuyer et al.'s radius: the maximum of `lecuyer_radius_at` over b in (0, min(1, ln(p_a/p_b)/2)].

    Every b gives a certified radius, so an inexact maximum is still certified. Arguments and errors: `cohen_radius`.

    Examples:
        >>> round(lecuyer_radius(0.5, 0.99), 4)
        0.2774
    """
    p_b = _checked(sigma, p_a, p_b)
    if p_a <= p_b:
        return 0.0
    top = min(1.0, _half_log_ratio(p_a, p_b))
    return _largest(lambda share: lecuyer_radius_at(sigma, p_a, p_b, share * top), 0.0, 1.0)


def li_radius(sigma: float, p_a: float, p_b: float | None = None) -> float:
    """Li et al.'s radius: the maximum of `li_radius_at` over a > 1.

    The search uses a logarithmic scale of a - 1. The best a may be close to 1. It is at most of the order of
    1 / (p_a - p_b), because the logarithm is bounded and 2/a decreases. Arguments and errors: `cohen_radius`.

    Examples:
        >>> round(li_radius(0.5, 0.99), 4)
        0.954
    """
    p_b = _checked(sigma, p_a, p_b)
    if p_a <= p_b:
        return 0.0
    return _largest(lambda t: li_radius_at(sigma, p_a, p_b, 1 + np.exp(t)), -24.0, log(2 / (p_a - p_b)) + 2)


def lecuyer_radius_at(sigma: float, p_a: float, p_b: float, b: Values) -> Values:
    """The radius sigma b / sqrt(2 ln(1.25 (1 + e^b) / (p_a - e^(2b) p_b))) for one b.

    Source: Lecuyer et al. 2019; Cohen et al. 2019, appendix I.1. Not rounded.

    Args:
        sigma: standard deviation of the noise, > 0.
        p_a: lower bound on the probability of class A.
        p_b: upper bound on that of every other class, 0 < p_b < p_a.
        b: in [0, min(1, ln(p_a/p_b)/2)], any shape.

    Returns:
        Radii, of b's shape. They are 0 at b = 0, and at the upper end if that end is below 1.

    Examples:
        >>> lecuyer_radius_at(0.5, 0.99, 0.01, np.array([0.0, 0.5, 1.0])).round(4)
        array([0.    , 0.1591, 0.2774])
    """
    b = np.asarray(b, dtype=np.float64)
    with np.errstate(divide="ignore"):  # b at its end: the logarithm is infinite, the radius 0
        margin = np.log(p_a) + np.log(-np.expm1(2 * np.minimum(0, b - _half_log_ratio(p_a, p_b))))
    return sigma * b / np.sqrt(2 * (log(1.25) + np.logaddexp(0, b) - margin))


def li_radius_at(sigma: float, p_a: float, p_b: float, a: Values) -> Values:
    """The radius sigma sqrt(-(2/a) ln(1 - p_a - p_b + 2 M)), M = ((p_a^(1-a) + p_b^(1-a)) / 2)^(1/(1-a)), for one a.

    Source: Li et al. 2018; Cohen et al. 2019, appendix I.2. Not rounded.

    Args:
        sigma: standard deviation of the noise, > 0.
        p_a: lower bound on the probability of class A.
        p_b: upper bound on that of every other class, 0 < p_b < p_a and p_a + p_b <= 1.
        a: order of the Renyi divergence, > 1, any shape.

    Returns:
        Radii, of a's shape.

    Examples:
        >>> li_radius_at(0.5, 0.99, 0.01, np.array([1.5, 2.0, 4.0])).round(4)
        array([0.9517, 0.8985, 0.6783])
    """
    a = np.asarray(a, dtype=np.float64)
    w = _half_log_ratio(p_a, p_b)
    # M = (p_a + p_b)/2 e^exponent: nothing cancels, even if p_a is close to p_b or p_b is tiny
    exponent = -(_log_cosh((a - 1) * w) / (a - 1) + _log_cosh(np.asarray(w)))
    both = min(1.0, p_a + p_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.log1p(both * np.expm1(exponent))
        far = np.logaddexp(np.log1p(-both), log(both) + exponent)
    return sigma * np.sqrt(-2 / a * np.where(exponent > -1, near, far))


def largest_radius(sigma: float, n: int, alpha: float) -> float:
    """The largest radius that n samples can certify, sigma Phi^-1(alpha^(1/n)): all of them agree. 0 if negative.

    Source: Cohen et al. 2019, section 3.2.2.

    Examples:
        >>> round(largest_radius(sigma=1.0, n=100_000, alpha=0.001), 4)
        3.8115
    """
    return cohen_radius(sigma, clopper_pearson_lower(n, n, alpha))


def least_samples(alpha: float) -> int:
    """The least n that can certify: the least n with alpha^(1/n) > 1/2.

    Raises:
        SettingError: alpha is not in (0, 1).

    Examples:
        >>> least_samples(0.001)
        10
    """
    if not 0 < alpha < 1:
        raise SettingError(f"alpha: expected a probability strictly between 0 and 1, got {alpha}")
    n = max(1, floor(log2(1 / alpha)))
    while clopper_pearson_lower(n, n, alpha) <= 0.5:
        n += 1
    return n


def high_probability_accuracy(accuracy: float, m: int, alpha: float, rho: float) -> float:
    """Lower confidence bound on the true certified accuracy of m test examples (Cohen et al. 2019, theorem 6).

    accuracy - alpha - sqrt(2 alpha (1 - alpha) ln(1/rho) / m) - ln(1/rho) / (3m), and at least 0. It is false with
    probability at most rho. The factor 2 is in the theorem; the authors' script omits it.

    Args:
        accuracy: share of the m test examples that were certified correctly, in [0, 1].
        m: number of test examples.
        alpha: failure probability of each certificate, in (0, 1).
        rho: failure probability of this bound, in (0, 1).

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> round(high_probability_accuracy(0.60, m=500, alpha=0.001, rho=0.001), 4)
        0.5891
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
    """The bound p_b, at most 1 - p_a. Raises SettingError if an argument is out of range."""
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
    """The value ln(p_a / p_b) / 2, accurate even if p_a and p_b are close."""
    return log1p((p_a - p_b) / p_b) / 2


def _log_cosh(x: Values) -> Values:
    """The value ln(cosh(x)) for x >= 0, accurate near 0 and without overflow."""
    return np.where(x < 1, np.log1p(2 * np.sinh(np.minimum(x, 1) / 2) ** 2), x + np.log1p(np.exp(-2 * x)) - log(2))


def _largest(value: Callable[[Values], Values], low: float, high: float) -> float:
    """The maximum of `value` over [low, high], to a relative error of 1e-9, rounded down. A grid brackets it."""
    grid = np.linspace(low, high, GRID)
    values = value(grid)
    best = int(np.argmax(values))
    bracket = (grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)])
    found = scipy.optimize.minimize_scalar(
        lambda t: -float(value(t)), bounds=bracket, method="bounded", options={"xatol": 1e-10}
    )
    return max(0.0, down(max(-float(found.fun), float(values[best]))))
