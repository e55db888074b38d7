"""Certified accuracy from the rows of classification runs, ours or published, with a confidence band over examples.

Comparisons of runs come with the noise of the test examples. They are void unless every run is better than one class.
"""

from collections.abc import Callable
from functools import cache
from math import nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.report.measured import Measured, measured
from experiments.runs.reader import StoredRun
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper

Values = NDArray[np.float64]
OUTSIDE = 0.025  # failure probability on each side of the 95% binomial confidence band over test examples
NOT_CORRECT = -1.0  # below every radius, in `certified_radii`


def rows_of(run: StoredRun) -> tuple[NDArray[np.bool_], Values]:
    """Whether each example is classified correctly, and its certified radius: (examples,) each."""
    return run.table["correct"].to_numpy(dtype=bool), run.table["radius"].to_numpy(dtype=np.float64)


def certified_accuracy(
    correct: NDArray[np.bool_], radius: Values, at: Values, largest: float = float("inf")
) -> pd.DataFrame:
    """The share of examples that are correct, not abstained, and certified at each radius of `at`.

    Columns: radius, accuracy, low, high, examples. low and high are the two-sided 95% Clopper-Pearson confidence
    interval over the test examples, for each radius separately.
    """
    certified = np.array([int(np.sum(correct & (radius >= r))) for r in at])
    bands = np.array([share_band(int(k), len(radius)) for k in certified])
    bands[(certified == 0) & (at > largest)] = 0
    return pd.DataFrame(
        {
            "radius": at,
            "accuracy": certified / len(radius),
            "low": bands[:, 0],
            "high": bands[:, 1],
            "examples": len(radius),
        }
    )


def average_radius(correct: NDArray[np.bool_], radius: Values) -> float:
    """Average certified radius (ACR): the area under the curve of certified accuracy."""
    return float(np.mean(np.where(correct, radius, 0.0)))


@cache
def share_band(k: int, n: int) -> tuple[float, float]:
    """The two-sided 95% Clopper-Pearson confidence interval for k successes out of n > 0."""
    return clopper_pearson_lower(k, n, OUTSIDE), clopper_pearson_upper(k, n, OUTSIDE)


def certified_radii(run: StoredRun) -> "pd.Series[float]":
    """The certified radius of each example by its index, `NOT_CORRECT` where the class is wrong or none."""
    correct, radius = rows_of(run)
    return pd.Series(np.where(correct, radius, NOT_CORRECT), index=run.table["index"])


def better_than_one_class(run: StoredRun) -> bool:
    """Whether a run is correct on more examples than the same class for every example, by two standard errors.

    If not, it certifies no more than a constant function does.
    """
    table = run.table
    more = table["correct"].astype(float) - (table["label"] == table["label"].mode().iloc[0])
    return bool(more.mean() > 2 * more.std(ddof=0) / len(more) ** 0.5)


def compared(
    statistic: Callable[[Values], float],
    *runs: StoredRun,
    of: Callable[[StoredRun], "pd.Series[float]"] = certified_radii,
) -> Measured:
    """A statistic of several runs on the same examples, void unless all are better than one class for every example.

    Args:
        statistic: (runs, examples) -> the number; NaN where a run lacks an example.
        runs: the runs.
        of: the values of a run, by index of the example.
    """
    found = measured(statistic, *map(of, runs))
    return found if all(map(better_than_one_class, runs)) else Measured(found.value, nan)


def mean_radii(values: Values) -> Values:
    """The average certified radius of each row of `certified_radii`: (runs, examples) -> (runs,)."""
    return np.asarray(np.nanmean(values.clip(min=0.0), axis=1))


def shares_of(condition: NDArray[np.bool_], values: Values) -> Values:
    """The share of each row in which a condition holds, without the row's NaN: (rows, examples) -> (rows,)."""
    return np.asarray(np.nanmean(np.where(np.isnan(values), nan, condition), axis=1))


def one_class_notes(runs: dict[str, StoredRun]) -> list[str]:
    """A note if some of the runs, by name, are no better than one class for every example."""
    names = [name for name, run in runs.items() if not better_than_one_class(run)]
    return (
        [f"no better than one class for every example, so no check that rests on it holds: {', '.join(names)}"]
        if names
        else []
    )
