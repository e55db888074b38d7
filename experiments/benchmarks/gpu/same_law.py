"""Whether two samples have the same law: counts by a chi-square test, numbers by Kolmogorov and Smirnov's."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2_contingency, ks_2samp

from experiments.benchmarks.gpu import FAILED

FALSE_ALARM = 1e-6  # probability that a comparison of equal laws fails
RARE = 20  # classes with fewer counts in all are counted as one
DIGITS = 6  # decimals that are compared, so that rounding does not tell equal numbers apart


def p_of_counts(one: ArrayLike, other: ArrayLike) -> float:
    """The p-value of equal probabilities behind two counts of the same classes, (classes,); 1 for a single class."""
    table = np.stack([np.asarray(one), np.asarray(other)]).astype(float)
    rare = table.sum(axis=0) < RARE
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    return float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0


def p_of_numbers(one: ArrayLike, other: ArrayLike) -> float:
    """The p-value of equal laws behind two samples of numbers, (n,) and (m,), +inf allowed, both nonempty.

    Equal numbers make the p-value larger, never smaller.
    """
    rounded = (np.round(np.asarray(values, dtype=float), DIGITS) for values in (one, other))
    return float(ks_2samp(*rounded, method="asymp").pvalue)


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
