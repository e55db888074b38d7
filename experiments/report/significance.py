"""Is a difference between two methods more than the noise of the test set? Tests and intervals over test examples.

They treat the examples as a sample. They say nothing of the randomness of training or of certification.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
LEVEL = 0.95  # of intervals; tests are at 1 - LEVEL
RESAMPLES, AT_ONCE = 4999, 100
FEWEST, FEW = 6, 30  # examples for an interval at all, and for one from the bootstrap alone


@dataclass(frozen=True)
class Difference:
    """A mean difference, its confidence interval at `LEVEL`, and the p-value that it is 0."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Signs:
    """A paired comparison of two lists of values: in how many pairs each is smaller, and the p-value of equality."""

    smaller: int
    larger: int
    tied: int
    p: float


def mcnemar(one: Flags, other: Flags) -> float:
    """McNemar's exact p-value that two shares of the same examples are equal: (examples,) each.

    Of the examples that only one of the two has, each has a half: a binomial test.
    """
    only_one, only_other = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    discordant = only_one + only_other
    return float(scipy.stats.binomtest(only_one, discordant, 0.5).pvalue) if discordant else 1.0


def fisher(one: Flags, other: Flags) -> float:
    """Fisher's exact p-value that two shares are equal, of different examples: (n,) and (m,)."""
    table = [[int(np.sum(flags)), int(np.sum(~flags))] for flags in (one, other)]
    return float(scipy.stats.fisher_exact(table).pvalue)


def mean_difference(one: Values, other: Values, *, paired: bool) -> Difference:
    """The mean of `one` minus that of `other`, with a bootstrap interval over examples (percentile, fixed seed).

    The interval is too narrow for few examples. With fewer than 30 it also contains Student's (Welch's, if the examples
    differ); with fewer than 6 it says nothing: the signs of 5 differences are all the same with probability 1/16.

    The p-value is twice the share of the bootstrap means on the other side of 0; with fewer than 30 examples it is at
    least Student's (Welch's). If paired, it is at least the probability that all differences other than 0 have the same
    sign: where few examples differ, the bootstrap knows too little of them. With fewer than 6 examples it is 1.

    Args:
        one: finite values, such as radii (0 if misclassified), (n,).
        other: finite values, (n,) if paired, else (m,).
        paired: whether both lists are of the same examples in the same order.
    """
    mean = float(np.mean(one) - np.mean(other))
    samples = (one - other,) if paired else (one, other)
    fewest = min(map(len, samples))
    if fewest < FEWEST:
        return Difference(mean, -np.inf, np.inf, 1.0)
    found = scipy.stats.bootstrap(
        samples,
        _mean if paired else _difference_of_means,
        n_resamples=RESAMPLES,
        batch=AT_ONCE,
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = found.confidence_interval
    p = _p_value(found.bootstrap_distribution)
    if paired:
        p = max(p, min(1.0, 2.0 * 0.5 ** np.count_nonzero(samples[0])))
    if fewest >= FEW:
        return Difference(mean, float(low), float(high), p)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # equal values have no variance
        test = scipy.stats.ttest_1samp(samples[0], 0) if paired else scipy.stats.ttest_ind(one, other, equal_var=False)
        students = test.confidence_interval(LEVEL)
    low, high = float(np.fmin(low, students.low)), float(np.fmax(high, students.high))
    return Difference(mean, low, high, float(np.fmax(p, test.pvalue)))


def sign_test(one: Values, other: Values) -> Signs:
    """The exact sign test of equal medians of differences. Values may be infinite; two infinite ones are tied."""
    smaller, larger = int(np.sum(one < other)), int(np.sum(one > other))
    p = float(scipy.stats.binomtest(smaller, smaller + larger, 0.5).pvalue) if smaller + larger else 1.0
    return Signs(smaller, larger, len(one) - smaller - larger, p)


def signed_rank(one: Values, other: Values) -> float:
    """Wilcoxon's signed-rank p-value, ties left out. A difference with one infinite value has the largest rank."""
    differences = _finite(one, other)
    return float(scipy.stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def rank_sum(one: Values, other: Values) -> float:
    """The Mann-Whitney p-value for values of different examples, which may be infinite: (n,) and (m,)."""
    return float(scipy.stats.mannwhitneyu(one, other).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: all tests together are wrong with at most the probability at which one is read."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    scaled = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(p) for p in adjusted]


def _p_value(means: Values) -> float:
    """The two-sided p-value of 0 among bootstrap means, each of which counts once more, so that it is never 0."""
    below, above = np.sum(means <= 0), np.sum(means >= 0)
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(means) + 1)))


def _mean(differences: Values, axis: int = -1) -> Values:
    return np.asarray(np.mean(differences, axis=axis))


def _difference_of_means(one: Values, other: Values, axis: int = -1) -> Values:
    return np.asarray(np.mean(one, axis=axis) - np.mean(other, axis=axis))


def _finite(one: Values, other: Values) -> Values:
    """Differences, with infinite ones replaced by one more than the largest finite one. Their ranks are the same."""
    with np.errstate(invalid="ignore"):
        differences = np.where(one == other, 0.0, one - other)  # infinity minus itself: a tie
    finite = np.abs(differences[np.isfinite(differences)])
    beyond = 1.0 + float(finite.max(initial=0.0))
    return np.where(np.isfinite(differences), differences, np.sign(differences) * beyond)
