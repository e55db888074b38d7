"""Confidence bounds: compared with independent implementations and a table computed elsewhere, and edge cases."""

import math
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm
from statsmodels.stats.proportion import proportion_confint

from smoothing import statistics
from smoothing.errors import SettingError
from smoothing.statistics import dkw_order_statistic, exact_order_statistic, hoeffding_margin


def random_counts(size):
    rng = np.random.default_rng(0)
    n = rng.integers(1, 10 ** rng.uniform(0, 5, size).astype(int) + 1)
    k = np.minimum(n, rng.binomial(n, rng.uniform(0, 1, size)))
    k[::10], k[5::10] = 0, n[5::10]
    return zip(k.tolist(), n.tolist(), (10 ** rng.uniform(-6, -0.5, size)).tolist(), strict=True)


@pytest.mark.long
def test_clopper_pearson_against_statsmodels_and_its_definition():
    counts = list(random_counts(10_000))
    k, n, alpha = (np.array(column) for column in zip(*counts, strict=True))
    lower = np.array([statistics.clopper_pearson_lower(*one) for one in counts])
    upper = np.array([statistics.clopper_pearson_upper(*one) for one in counts])
    expected_lower, expected_upper = proportion_confint(k, n, 2 * alpha, method="beta")
    assert lower == pytest.approx(np.where(k == 0, 0, expected_lower), rel=1e-9, abs=1e-300)
    assert upper == pytest.approx(np.where(k == n, 1, expected_upper), rel=1e-9)
    assert ((k == 0) | (binom.sf(k - 1, n, lower) <= alpha)).all()
    assert ((k == n) | (binom.cdf(k, n, upper) <= alpha)).all()


def test_clopper_pearson_at_its_ends():
    assert statistics.clopper_pearson_lower(0, 10, 0.001) == 0.0
    assert statistics.clopper_pearson_upper(10, 10, 0.001) == 1.0
    assert statistics.clopper_pearson_lower(10, 10, 0.001) == pytest.approx(0.001 ** (1 / 10), rel=1e-9)
    assert statistics.clopper_pearson_lower(10, 10, 0.001) <= 0.001 ** (1 / 10)
    assert statistics.clopper_pearson_upper(0, 10, 0.001) == pytest.approx(1 - 0.001 ** (1 / 10), rel=1e-9)


@pytest.mark.long
def test_clopper_pearson_agrees_with_scipy_binomtest():
    """Scipy finds the bounds by bisection, to 2e-12: slowly, so for fewer counts than above."""
    for k, n, alpha in random_counts(1000):
        greater = binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, "exact")
        less = binomtest(k, n, alternative="less").proportion_ci(1 - alpha, "exact")
        assert statistics.clopper_pearson_lower(k, n, alpha) == pytest.approx(greater.low, rel=1e-7, abs=1e-11)
        assert statistics.clopper_pearson_upper(k, n, alpha) == pytest.approx(less.high, rel=1e-7, abs=1e-11)


@pytest.mark.parametrize(
    ("k", "n", "alpha"),
    [
        *((1000, 10**8, 0.001), (1000, 10**9, 0.001), (999, 10**10, 0.001), (4, 2264, 1.02e-190), (10, 5000, 1e-100)),
        (5, 1_200_691_020, 0.6047533463130254),  # SciPy's tail is wrong too, by 4e-8
    ],
)
def test_bounds_hold_where_scipys_quantiles_are_wrong(k, n, alpha):
    """Exact sums of 400 digits. SciPy's lower bound from 1000 of 10^9 has a tail of 1, and 0.001 is allowed."""

    def tail(p, count):  # P[Bin(n, p) <= count]
        term = total = (1 - p) ** n
        for j in range(count):
            term *= (n - j) * p / ((j + 1) * (1 - p))
            total += term
        return total

    with mpmath.workdps(400):
        lower = mpmath.mpf(statistics.clopper_pearson_lower(k, n, alpha))
        upper = mpmath.mpf(statistics.clopper_pearson_upper(k, n, alpha))
        mirrored = 1 - mpmath.mpf(statistics.clopper_pearson_lower(n - k, n, alpha))
        close = 1 - mpmath.mpf(10) ** -6
        assert close <= (1 - tail(lower, k - 1)) / alpha <= 1
        assert close <= tail(upper, k) / alpha <= 1
        assert tail(mirrored, k) <= alpha


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101, 1000, 1500, 2000])
@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_exact_median_margin_is_the_least(n, alpha):
    margin = statistics.exact_median_margin(n, alpha)
    below_half = math.ceil(n / 2) - 1
    assert binom.cdf(below_half, n, 0.5 + margin) <= alpha
    assert binom.cdf(below_half, n, 0.5 + margin - 1e-6) > alpha
    assert margin <= min(statistics.hoeffding_median_margin(n, alpha), 0.5)


def test_paper_margin():
    assert statistics.hoeffding_median_margin(10_000, 0.0025) == pytest.approx(math.sqrt(math.log(400) / 20_000))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.55, 0.86985, 0.98323, 0.9999])
@pytest.mark.parametrize("m", [1, 2, 37, 314, 1000, 10_000])
@pytest.mark.parametrize("alpha", [0.31, 0.005, 1e-9])
def test_exact_order_statistic_is_the_least(p, m, alpha):
    k = statistics.exact_order_statistic(p, m, alpha)
    tails = binom.sf(np.arange(m), m, p)  # P[Bin >= 1], ..., P[Bin >= m]
    expected = np.flatnonzero(tails <= alpha)
    assert k == (expected[0] + 1 if len(expected) else None)


@pytest.mark.parametrize("p", [0.1, 0.86985, 0.98323])
@pytest.mark.parametrize("m", [100, 157, 9425, 10_000])
def test_dkw_order_statistic_is_rounded_up_and_no_tighter_than_the_exact_one(p, m):
    k = statistics.dkw_order_statistic(p, m, 0.005)
    q = p + math.sqrt(math.log(200) / (2 * m))
    if q > 1:
        assert k is None
    else:
        assert k == math.ceil(q * m)
        assert k >= statistics.exact_order_statistic(p, m, 0.005)


@pytest.mark.parametrize("p", [0.0, 0.5, 0.86985, 0.98323])
@pytest.mark.parametrize("bound", ["dkw", "exact"])
def test_least_samples(p, bound):
    order = getattr(statistics, f"{bound}_order_statistic")
    least = getattr(statistics, f"{bound}_least_samples")(p, 0.005)
    assert order(p, least, 0.005) is not None
    assert least == 1 or order(p, least - 1, 0.005) is None


@pytest.mark.parametrize("bound", ["dkw", "exact"])
def test_a_certain_event_cannot_be_shown_by_samples(bound):
    assert getattr(statistics, f"{bound}_order_statistic")(1.0, 10**6, 0.005) is None
    assert getattr(statistics, f"{bound}_least_samples")(1.0, 0.005) is None


@pytest.mark.parametrize(
    ("h", "p", "q", "exact", "m_paper", "m_exact"),
    [
        (2, 0.98323, 0.98486, 0.98357, 10**6, 42_322),
        (1.5, 0.94799, 0.94962, 0.94856, 10**6, 125_240),
        (1, 0.86985, 0.87147, 0.87071, 10**6, 287_506),
        (2, 0.98323, 0.99951, 0.98650, 10**4, 448),
        (1, 0.86985, 0.88612, 0.87850, 10**4, 2_976),
    ],
)
def test_table_of_methods(h, p, q, exact, m_paper, m_exact):
    mass = norm.cdf(norm.ppf(0.55) + h)
    assert mass == pytest.approx(p, abs=5e-6)
    paper_q = mass + statistics.hoeffding_margin(m_paper, 0.005)
    assert paper_q == pytest.approx(q, abs=5e-6)
    assert statistics.exact_order_statistic(mass, m_paper, 0.005) / m_paper == pytest.approx(exact, abs=5.1e-6)
    assert statistics.exact_order_statistic(mass, m_exact, 0.005) / m_exact <= paper_q


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan")])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(SettingError, match="alpha"):
        statistics.clopper_pearson_lower(1, 2, alpha)


def test_an_alpha_whose_tails_scipy_does_not_compute_accurately_is_refused():
    """At 10^-300, the tail of a rank was 100 times alpha, and that of a lower bound 1.2 times."""
    with mpmath.workdps(50):
        rank, q = 65, mpmath.mpf(1e-5)
        tail = mpmath.fsum(mpmath.binomial(100, k) * q**k * (1 - q) ** (100 - k) for k in range(rank, 101))
        assert tail > 100 * mpmath.mpf(1e-300)
    for alpha in (5e-324, 1e-300, 9e-201):
        for call in (
            lambda alpha: exact_order_statistic(1e-5, 100, alpha),
            lambda alpha: statistics.clopper_pearson_lower(41, 60, alpha),
            lambda alpha: statistics.clopper_pearson_upper(41, 60, alpha),
            lambda alpha: hoeffding_margin(100, alpha),
        ):
            with pytest.raises(SettingError, match="alpha: expected at least 1e-200"):
                call(alpha)
            call(1e-200)


def test_counts_and_probabilities_are_checked():
    with pytest.raises(SettingError, match="count"):
        statistics.clopper_pearson_lower(3, 2, 0.1)
    with pytest.raises(SettingError, match="number of samples"):
        statistics.hoeffding_margin(0, 0.1)
    with pytest.raises(SettingError, match="probability"):
        statistics.exact_order_statistic(float("nan"), 10, 0.1)


def test_hoeffdings_margin_is_rounded_up():
    with mpmath.workdps(40):
        for n in range(1, 400):
            assert mpmath.mpf(hoeffding_margin(n, 0.001)) >= mpmath.sqrt(mpmath.log(1 / mpmath.mpf(0.001)) / (2 * n))


def test_dkw_at_a_whole_number_is_rounded_up():
    """p m + margin m is just above a whole number k, so k would be too low."""
    with mpmath.workdps(40):
        for m in range(10**8, 10**8 + 200):
            p = m // 2 / m + 0.1
            k = round((p + hoeffding_margin(m, 0.001)) * m)
            p = k / m - hoeffding_margin(m, 0.001)
            exact = (mpmath.mpf(p) + mpmath.sqrt(mpmath.log(1 / mpmath.mpf(0.001)) / (2 * m))) * m
            assert dkw_order_statistic(p, m, 0.001) >= mpmath.ceil(exact)


def test_a_tail_that_is_alpha_but_for_rounding_does_not_count():
    for m, p, k in [(100, 0.5, 60), (1000, 0.7, 730), (10**5, 0.9, 90300)]:
        assert exact_order_statistic(p, m, float(binom.sf(k - 1, m, p))) == k + 1


def test_the_slow_parts_of_scipy_are_imported_at_their_first_use():
    """A command that only reads a finished run rarely needs one of them; together they take half a second."""
    slow = ("scipy.stats", "scipy.optimize", "scipy.special")
    asked = f"import sys, smoothing; print([name for name in {slow} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"
