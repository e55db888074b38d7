"""Bounds that hold at all times: compared with their definition, and their failure rates, exact and simulated."""

import math
from math import log

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import binomtest

from smoothing import SettingError, betting
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper

PROBABILITIES = [0.5, 0.6, 0.8413, 0.95, 0.99, 0.999]


def random_counts(repetitions):
    rng = np.random.default_rng(0)
    for _ in range(repetitions):
        n = int(10 ** rng.uniform(0, 6))
        share = rng.choice([rng.random(), 1 - 10 ** rng.uniform(-6, 0), 10 ** rng.uniform(-6, 0)])
        yield round(n * share), n, float(10 ** rng.uniform(-9, -0.45))


def crossing_probability(p, n_max, crosses):
    """P[crosses(k, n) for some n <= n_max], k ~ Bin(n, p): all paths that have not crossed yet, step by step."""
    uncrossed, crossed = np.array([1.0]), 0.0
    for n in range(1, n_max + 1):
        uncrossed = np.append(uncrossed * (1 - p), 0) + np.append(0, uncrossed * p)
        out = crosses(np.arange(n + 1), n)
        crossed += uncrossed[out].sum()
        uncrossed[out] = 0
    return crossed


def least_counts(p, n_max, alpha):
    """For n = 1, ..., n_max, the least count with `betting.lower` above p; n + 1 if there is none."""
    least, k = np.empty(n_max, dtype=int), 0
    for n in range(1, n_max + 1):
        while k <= n and not betting.above(k, n, p, alpha):
            k += 1
        least[n - 1] = k
    return least


@pytest.mark.parametrize(("k", "n", "q"), [(3, 5, 0.2), (1, 1, 0.9), (0, 4, 0.5), (90, 100, 0.7), (100, 100, 0.95)])
def test_the_wealth_is_the_mixture_of_bets(k, n, q):
    """Integrates over the angle a with t = sin^2 a: under the prior Beta(1/2, 1/2), a is uniform."""

    def likelihood_ratio(angle):
        t = math.sin(angle) ** 2
        return (t / q) ** k * ((1 - t) / (1 - q)) ** (n - k)

    start = math.asin(math.sqrt(q))
    mean = quad(likelihood_ratio, start, math.pi / 2, epsabs=0, epsrel=1e-11)[0] / (math.pi / 2 - start)
    assert betting.log_wealth(k, n, q) == pytest.approx(math.log(mean), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100, 1000])
def test_the_wealth_falls_in_q_wherever_it_is_at_least_e(n):
    q = np.linspace(1e-4, 1 - 1e-4, 2000)
    for k in range(0, n + 1, max(1, n // 50)):
        wealth = np.maximum(betting.log_wealth(k, n, q), -1)
        large = wealth >= 1
        assert (np.diff(wealth)[large[:-1]] < 0).all()
        assert np.diff(large.astype(int)).max() != 1  # an interval from 0 on


def test_the_lower_bound_is_the_largest_rejected_probability():
    for k, n, alpha in random_counts(500):
        bound = betting.lower(k, n, alpha)
        assert (bound == 0) == (k == 0)
        assert k == 0 or betting.log_wealth(k, n, bound) >= math.log(1 / alpha)
        assert not betting.above(k, n, min(bound * (1 + 1e-9) + 1e-300, 1 - 1e-16), alpha)
        assert bound <= clopper_pearson_lower(k, n, alpha)
        assert betting.upper(k, n, alpha) >= clopper_pearson_upper(k, n, alpha) - 1e-9


def test_bounds_at_their_ends():
    assert betting.lower(0, 10, 0.001) == 0.0
    assert betting.upper(10, 10, 0.001) == 1.0
    assert betting.upper(0, 10, 0.001) == pytest.approx(1 - betting.lower(10, 10, 0.001), rel=1e-12)
    assert betting.upper(0, 10, 0.001) >= 1 - betting.lower(10, 10, 0.001)
    assert betting.lower(7, 10, 0.9) == betting.lower(7, 10, math.exp(-1)) == betting.lower(7, 10, 0.4)


@pytest.mark.long
@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_bound_is_ever_above_p_with_probability_at_most_alpha_and_little_less(p, alpha):
    """Exact, for the worst stopping time: the first at which the bound is above p."""
    n_max = 2000 if p < 0.999 else 20_000
    least = least_counts(p, n_max, alpha)
    found = crossing_probability(p, n_max, lambda k, n: k >= least[n - 1])
    assert 0.4 * alpha < found <= alpha


@pytest.mark.parametrize("p", [0.5, 0.6, 0.8413])
def test_the_lenient_threshold_of_published_code_fails(p):
    """M_n with the whole prior, two-sided: ln(1/alpha) keeps alpha, ln(1/(2 alpha)) does not."""
    alpha, n_max = 0.05, 1000

    def crosses(threshold):
        def mixture(k, n):
            return betaln(k + 0.5, n - k + 0.5) - betaln(0.5, 0.5) - k * math.log(p) - (n - k) * math.log1p(-p)

        return lambda k, n: mixture(k, n) >= threshold

    assert crossing_probability(p, n_max, crosses(math.log(1 / alpha))) <= alpha
    assert crossing_probability(p, n_max, crosses(math.log(1 / alpha / 2))) > 1.3 * alpha


def simulated_misses(p, alpha, sequences, n_max):
    """Number of sequences whose bound is above p after any of their draws."""
    rng, least = np.random.default_rng(1), least_counts(p, n_max, alpha)
    missed = 0
    for _ in range(sequences // 500):
        counts = (rng.random((500, n_max), dtype=np.float32) < p).cumsum(axis=1, dtype=np.int32)
        missed += int((counts >= least).any(axis=1).sum())
    return missed


@pytest.mark.parametrize("p", [0.6, 0.95])
def test_simulated_coverage(p):
    assert binomtest(simulated_misses(p, 0.05, 2000, 1000), 2000, 0.05, alternative="greater").pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_simulated_coverage_of_many_long_sequences(p, alpha):
    sequences = 20_000
    missed = simulated_misses(p, alpha, sequences, 10_000)
    assert binomtest(missed, sequences, alpha, alternative="greater").pvalue > 1e-4
    assert missed > 0  # the stopping is the worst there is: now and then the bound does fail


@pytest.mark.parametrize(
    ("k", "n", "alpha", "message"),
    [
        (1, 2, 0.0, "alpha"),
        (1, 2, 1.0, "alpha"),
        (1, 2, math.nan, "alpha"),
        (3, 2, 0.1, "count"),
        (0, 0, 0.1, "number"),
    ],
)
def test_arguments_are_checked(k, n, alpha, message):
    for bound in (betting.lower, betting.upper):
        with pytest.raises(SettingError, match=message):
            bound(k, n, alpha)
    with pytest.raises(SettingError, match=message):
        betting.above(k, n, 0.5, alpha)


def test_the_wealth_is_taken_lower_by_what_it_may_be_off_by_at_n():
    for n in (10**5, 10**7):
        for k in (n // 2, n - 1000, n):
            q = 0.4
            assert betting._excess(k, n, q, 0.001) <= float(betting.log_wealth(k, n, q)) - log(1000) - 2.4e-15 * n
