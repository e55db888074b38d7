"""Whether two samples have the same law: counts by a chi-square test, numbers by Kolmogorov and Smirnov's."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2_contingency, kstwobign

from experiments.benchmarks.gpu import FAILED

FALSE_ALARM = 1e-6  # probability that a comparison of equal laws fails
RARE = 20  # classes with fewer counts in all are counted as one
CLOSE = 1e-5  # numbers that differ by less, relative to 1 + their size, are equal but for rounding


def p_of_counts(one: ArrayLike, other: ArrayLike) -> float:
    """The p-value of equal probabilities behind two counts of the same classes, (classes,); 1 for a single class."""
    table = np.stack([np.asarray(one), np.asarray(other)]).astype(float)
    rare = table.sum(axis=0) < RARE
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    return float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0


def p_of_numbers(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The p-value of equal laws behind two samples of numbers, (n,) and (m,), +inf allowed, both nonempty.

    Kolmogorov and Smirnov's, of the largest gap between the shares up to t of one sample and up to a number close above
    t of the other. Numbers that are equal but for rounding make no gap. The p-value is never too small.
    """
    one, other = np.sort(one), np.sort(other)
    gap = max(_gap(one, other), _gap(other, one))
    return float(kstwobign.sf(gap * (len(one) * len(other) / (len(one) + len(other))) ** 0.5))


def _gap(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> float:
    """The largest amount by which the share of `lower` up to t exceeds that of `upper` up to a number close above t.

    Args:
        lower: numbers, (n,), sorted.
        upper: numbers, (m,), sorted.
    """
    shares = np.searchsorted(lower, lower, side="right") / len(lower)
    others = np.searchsorted(upper, lower + CLOSE * (1 + np.abs(lower)), side="right") / len(upper)
    return float((shares - others).max())


def compared(p_values: Mapping[str, float]) -> Iterator[str]:
    """A line for each comparison, by its name, whose laws differ, and one about all of them."""
    for name, p in p_values.items():
        if not p >= FALSE_ALARM:
            yield f"{FAILED}{name}: the laws differ, p = {p:.1e}"
    smallest = min(p_values, key=lambda name: p_values[name])
    yield (
        f"{len(p_values)} comparisons; the smallest p is {p_values[smallest]:.2g} ({smallest}); "
        f"equal laws fail one of them with probability at most {len(p_values) * FALSE_ALARM:.1g}"
    )
