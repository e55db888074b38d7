"""Robust conformal sets: the rank, the number of samples, and coverage at the worst perturbation under known laws."""

from fractions import Fraction
from math import floor, inf

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from smoothing import Ablation, DeterministicSplitting, Gaussian, SettingError, Uniform, conformal_guarantee
from smoothing.conformal_guarantee import ConformalDraws, conformal_set, exact_needed, needed, order, rank, threshold

SIGMA, EPS, ALPHA, BETA, EXAMPLES, N, REPETITIONS = 0.5, 1.0, 0.1, 0.01, 99, 200, 4000
NOISE = Gaussian(SIGMA)


def refuted(misses, level=ALPHA):
    return binomtest(misses, REPETITIONS, level, alternative="greater").pvalue < 1e-4


def test_the_rank_by_brute_force():
    """The T of a new example is below the threshold with probability r / (N + 1) if all are different, and at most so
    if some are equal: every order of a few values is counted."""
    for examples in range(1, 12):
        for level in (0.05, 0.1, 0.25, 0.5, 0.9):
            if floor(level * (examples + 1) + 1e-9) < 1:
                with pytest.raises(SettingError, match=r"certifier\.held_out: .* can never leave a class out"):
                    rank(examples, level)
                continue
            r = rank(examples, level)
            assert r == floor(level * (examples + 1) + 1e-12)
            for values in (np.arange(examples + 1.0), np.arange(examples + 1) // 3 * 1.0):
                below = [values[k] < threshold(np.delete(values, k), level) for k in range(examples + 1)]
                assert np.mean(below) <= r / (examples + 1) <= level
                if len(set(values)) == len(values):
                    assert np.mean(below) == pytest.approx(r / (examples + 1))


def test_the_threshold_may_be_minus_infinity():
    assert threshold(np.array([-inf, -inf, 0.5]), 0.5) == -inf


def least_probability(noise):
    """The true probability at the worst X', of an event of probability q at X; without any rounding."""
    if isinstance(noise, Gaussian):
        return lambda q, eps: norm.cdf(norm.ppf(q) - eps / noise.sigma)
    if isinstance(noise, Uniform):
        return lambda q, eps: np.maximum(0, q - eps / (2 * noise.lam))
    return lambda q, eps: np.maximum(0, q - (1 - (1 - 8 / 64) if eps else 0))  # one of 64 pixels, 8 are kept


@pytest.mark.parametrize(
    ("noise", "radii"),
    [(NOISE, [0.0, 0.25, 0.5, 1.0]), (Uniform(0.5), [0.0, 0.3, 0.6]), (Ablation(8, (1, 8, 8)), [0.0, 1.0])],
    ids=str,
)
@pytest.mark.parametrize(("n", "p", "beta"), [(1, 0.5, 0.3), (50, 0.5, 0.1), (400, 0.7, 0.01), (1000, 0.95, 0.001)])
def test_the_number_of_samples_by_brute_force(noise, radii, n, p, beta):
    """No probability q breaks the theorem's condition with t, and some q does with a t that is a little larger."""
    j, q = order(p, n), np.linspace(0, 1, 20_001)
    for eps in radii:
        t = needed(j, n, eps, noise, beta)
        there = least_probability(noise)(q, eps)

        def missed(t, there=there):
            return (binom.sf(j - 1, n, q) * binom.cdf(t - 1, n, there)).max()

        assert missed(t) <= beta * (1 + 1e-9)
        assert missed(t + 2) > beta


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_fewer_cells_give_fewer_samples_that_are_still_enough(monkeypatch, cells):
    monkeypatch.setattr(conformal_guarantee, "CELLS", cells)
    j, q = order(0.7, 400), np.linspace(0, 1, 20_001)
    t = needed(j, 400, 0.5, NOISE, BETA)
    there = least_probability(NOISE)(q, 0.5)
    assert (binom.sf(j - 1, 400, q) * binom.cdf(t - 1, 400, there)).max() <= BETA
    monkeypatch.undo()
    assert t < needed(j, 400, 0.5, NOISE, BETA)


def test_more_samples_and_larger_radii():
    found = [needed(order(0.7, n), n, EPS, NOISE, BETA) / n for n in (100, 1000, 10_000, 100_000)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(norm.cdf(norm.ppf(0.7) - EPS / SIGMA), abs=0.01)
    by_radius = [needed(700, 1000, eps, NOISE, BETA) for eps in np.linspace(0, 2, 21)]
    assert by_radius == sorted(by_radius, reverse=True)
    assert by_radius[-1] == 0


def misses(spread=0.0, eps=EPS, p=0.5, alpha=ALPHA, beta=BETA, examples=EXAMPLES):
    """How often the class is not in the set at the worst X', in many runs of calibration and test.

    A linear model: the score of the right class is M + sigma Z at X, and M - eps + sigma Z at the worst X' within eps.
    M is normal with this spread.
    """
    random, j = np.random.default_rng(2), order(p, N)
    t = conformal_guarantee.needed(j, N, eps, NOISE, beta)
    margin = spread * random.standard_normal((REPETITIONS, examples + 1))
    share = random.beta(N - j + 1, j, size=(REPETITIONS, examples))  # the j-th largest of N uniform numbers
    found = np.sort(margin[:, :-1] + SIGMA * norm.ppf(share), axis=1)
    tau = found[:, conformal_guarantee.rank(examples, Fraction(alpha) - Fraction(beta)) - 1]
    return int((random.binomial(N, norm.cdf((margin[:, -1] - eps - tau) / SIGMA)) < t).sum())


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("eps", [0.0, 0.3, EPS])
def test_coverage_at_the_worst_perturbation(spread, eps):
    assert not refuted(misses(spread, eps))


def test_most_of_the_level_is_used_where_margins_differ_more_than_samples():
    assert misses(spread=5.0, eps=0.0) > 0.8 * (ALPHA - BETA) * REPETITIONS


def without_correction(j, n, eps, noise, beta):
    return floor(noise.shift(j / n, eps) * n)


def exchanged(j, n, eps, noise, beta):
    class Exchanged(Gaussian):
        def shift(self, p, eps):
            return super().mass(p, eps)

    return needed(j, n, eps, Exchanged(SIGMA), beta)


@pytest.mark.parametrize("planted", [without_correction, exchanged])
def test_a_wrong_number_of_samples_is_found(monkeypatch, planted):
    monkeypatch.setattr(conformal_guarantee, "needed", planted)
    assert refuted(misses())


def test_ordinary_sets_lose_their_coverage(monkeypatch):
    monkeypatch.setattr(conformal_guarantee, "needed", lambda j, n, eps, noise, beta: needed(j, n, 0.0, noise, beta))
    assert misses() > 0.9 * REPETITIONS


def test_a_rank_off_by_one_is_found(monkeypatch):
    law = {"spread": 5.0, "eps": 0.0, "alpha": 0.2 + 1e-6, "beta": 1e-6, "examples": 9}  # r = 2
    assert not refuted(misses(**law), 0.2)
    monkeypatch.setattr(conformal_guarantee, "rank", lambda examples, level: rank(examples, level) + 1)
    assert refuted(misses(**law), 0.2)


def test_exact_sets_need_one_sample_less_for_each_grid_step():
    noise = DeterministicSplitting(1.0, 10, (3,))
    assert [exact_needed(12, eps, noise) for eps in (0.0, 0.09, 0.1, 0.25, 1.2, 5.0)] == [12, 12, 11, 10, 0, 0]


def test_a_set():
    draws = ConformalDraws(np.array([3, 700, 650]), 0.4, 1000)
    found = conformal_set(draws, 0.5, 650, 0.1)
    assert (found.classes, found.size, found.counts) == ("1 2", 2, "3 700 650")
    assert conformal_set(draws, 0.5, 701, 0.1).classes == ""
