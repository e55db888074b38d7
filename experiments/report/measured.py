"""Numbers measured on test examples, with their noise: how much they may change with other examples."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]
RESAMPLES = 200
NOTHING = 1e-9  # a radius up to this one is that of a constant function: 0, rounded up
UPPER = 0.975  # as the upper end of a 95% band


@dataclass(frozen=True)
class Measured:
    """A number measured on test examples.

    Attributes:
        value: the number.
        noise: how much larger it may be with other examples of the same test set. NaN: the number says nothing, because
            a run that it compares certifies no more than a constant function does. No check of it holds.
    """

    value: float
    noise: float


def measured(statistic: Callable[[Values], float], *samples: "pd.Series[float]") -> Measured:
    """A statistic of one or several samples, with the noise of the choice of the examples.

    The noise is the 97.5% quantile over 200 bootstrap samples of the examples, less the value. Each bootstrap sample
    has the same examples in all samples, so that a comparison on the same examples is paired.

    Args:
        statistic: (samples, examples) -> the number. NaN where a sample lacks an example.
        samples: values by index of the example.
    """
    values = pd.concat(samples, axis=1).to_numpy(dtype=np.float64).T
    value, count = float(statistic(values)), values.shape[1]
    if not isfinite(value):
        return Measured(value, nan)
    picks = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    again = np.array([statistic(values[:, pick]) for pick in picks])
    upper = float(np.quantile(np.where(np.isnan(again), inf, again), UPPER, method="higher"))
    return Measured(value, max(0.0, upper - value))


def medians(values: Values) -> Values:
    """The median of each row, without its NaN: (rows, examples) -> (rows,). NaN if a row has nothing else.

    An infinite value is an example without a certificate. Of an even number of values, the mean of the two middle ones.
    """
    ordered, count = np.sort(values, axis=1), (~np.isnan(values)).sum(axis=1)  # NaN come last
    rows, last = np.arange(len(values)), values.shape[1] - 1
    middle: Values = ordered[rows, (count - 1) // 2] + ordered[rows, np.minimum(count // 2, last)]
    return middle / 2


def largest_ratio(above: Values, below: Values) -> float:
    """The largest of the ratios above / below.

    Infinite if a number is: then something has no certificate. NaN if a number of `below` is at most `NOTHING`, as the
    radius of a constant function is, or if there is nothing to compare.
    """
    if not len(above) or np.isnan([above, below]).any():
        return nan
    if np.isinf([above, below]).any():
        return inf
    return float(np.max(above / below)) if (below > NOTHING).all() else nan


def medians_in(samples: "list[pd.Series[float]]") -> Values:
    """The median of each sample, as `medians`."""
    return np.array([medians(sample.to_numpy(dtype=np.float64)[None])[0] for sample in samples])


def ratio_of_medians(above: "list[pd.Series[float]]", below: "list[pd.Series[float]]") -> Measured:
    """The largest ratio of the medians of paired samples: `largest_ratio`, with its noise."""

    def statistic(values: Values) -> float:
        found = medians(values)
        return largest_ratio(found[: len(above)], found[len(above) :])

    return measured(statistic, *above, *below)
