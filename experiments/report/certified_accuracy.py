"""Certified accuracy from the rows of classification runs, ours or published, with a confidence band over examples."""

from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.runs.reader import StoredRun
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper

Values = NDArray[np.float64]
OUTSIDE = 0.025  # failure probability on each side of the 95% binomial confidence band over test examples


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
