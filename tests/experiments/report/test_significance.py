"""Tests of differences, against statsmodels and by hand."""

import math

import numpy as np
import pytest
import scipy
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.descriptivestats import sign_test as reference_sign_test
from statsmodels.stats.multitest import multipletests

from experiments.report.significance import (
    fisher,
    holm,
    mcnemar,
    mean_difference,
    rank_sum,
    sign_test,
    signed_rank,
)

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.random(80) < 0.7, RNG.random(80) < 0.4


def test_mcnemar_is_that_of_statsmodels():
    table = [[np.sum(ONE & OTHER), np.sum(ONE & ~OTHER)], [np.sum(~ONE & OTHER), np.sum(~ONE & ~OTHER)]]
    assert mcnemar(ONE, OTHER) == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    assert mcnemar(ONE, ONE) == 1.0


def test_shares_of_different_examples():
    assert fisher(ONE, OTHER[:50]) < 0.05
    assert fisher(ONE, ONE) == 1.0


def test_holm_is_that_of_statsmodels():
    p = [0.04, 0.001, 0.03, 0.5, 0.01]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert holm([]) == []


def test_the_paired_interval_is_shorter():
    easy = RNG.normal(1, 1, 200)
    better = easy + RNG.normal(0.05, 0.1, 200)
    paired, unpaired = (mean_difference(better, easy, paired=paired) for paired in (True, False))
    assert paired.mean == pytest.approx(float(np.mean(better - easy))) == pytest.approx(unpaired.mean)
    error = np.std(better - easy, ddof=1) / math.sqrt(200)
    assert paired.low == pytest.approx(paired.mean - 1.96 * error, abs=0.2 * error)
    assert paired.high == pytest.approx(paired.mean + 1.96 * error, abs=0.2 * error)
    assert paired.p < 0.01 < 0.05 < unpaired.p
    assert paired.p == pytest.approx(scipy.stats.ttest_rel(better, easy).pvalue, abs=0.001)
    assert unpaired.p == pytest.approx(scipy.stats.ttest_ind(better, easy).pvalue, abs=0.05)
    assert paired == mean_difference(better, easy, paired=True)  # the same every time


def test_no_difference_and_too_few_examples():
    same = mean_difference(np.ones(6), np.ones(6), paired=True)
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)
    for n in (1, 5):
        few = mean_difference(np.ones(n), np.zeros(n), paired=True)
        assert (few.high, few.p) == (math.inf, 1)


def test_abstentions_are_infinite():
    one = np.array([1.0, 2.0, math.inf, math.inf, 3.0, 1.0, 1.0])
    other = np.array([2.0, math.inf, math.inf, 1.0, 4.0, 2.0, 2.5])
    found = sign_test(one, other)
    assert (found.smaller, found.larger, found.tied) == (5, 1, 1)
    finite = np.where(np.isinf(one), 9.0, one) - np.where(np.isinf(other), 9.0, other)
    assert found.p == pytest.approx(reference_sign_test(finite)[1])
    assert signed_rank(one, other) == pytest.approx(signed_rank(np.minimum(one, 9), np.minimum(other, 10)), abs=0.2)
    assert signed_rank(one, one) == 1.0
    assert sign_test(one, one).p == 1.0
    assert rank_sum(one, one + 10) < 0.2


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("n", [2, 5, 6, 10, 20, 40])
def test_few_examples_show_no_difference_too_often(n, paired):
    """Of differences that are noise, one in twenty may be called more."""
    rng = np.random.default_rng(n)
    found = sum(mean_difference(rng.normal(size=n), rng.normal(size=n), paired=paired).p < 0.05 for _ in range(200))
    assert found <= 20  # more than 20 of 200 at 5 % have probability 0.001
    assert n >= 6 or not found


def test_equal_differences_of_few_examples():
    assert mean_difference(np.full(6, 0.5), np.full(6, 0.25), paired=True).p == 2 / 2**6
    assert mean_difference(np.full(40, 0.5), np.full(40, 0.25), paired=True).p == 2 / 5000


@pytest.mark.parametrize("different", [0, 1, 3, 5])
def test_few_examples_that_differ_show_little(different):
    """All of them are better. Their signs are all the same with this probability if there is no difference."""
    better = np.r_[np.full(different, 0.5), np.zeros(100 - different)]
    found = mean_difference(better, np.zeros(100), paired=True)
    assert found.p >= min(1, 2 * 0.5**different)
    assert different < 5 or found.low > 0, "the interval alone would say more"
