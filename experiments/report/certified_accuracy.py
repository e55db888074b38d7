"""Certified accuracy: from rows of classification runs, ours and the published ones, with its band over examples."""

from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.runs.reader import StoredRun
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper

Values = NDArray[np.float64]
OUTSIDE = 0.025  # on each side of the binomial confidence band over test examples: 95% in all


def rows_of(run: StoredRun) -> tuple[NDArray[np.bool_], Values]:
    """Whether each example is correct, and its radius: (examples,) each."""
    return run.table["correct"].to_numpy(dtype=bool), run.table["radius"].to_numpy(dtype=np.float64)


def certified_accuracy(
    correct: NDArray[np.bool_], radius: Values, at: Values, largest: float = float("inf")
) -> pd.DataFrame:
    """The share of examples that are correct, not abstained, and certified at each radius of `at`.

    Columns radius, accuracy, low, high, examples; low and high are the two-sided 95% Clopper-Pearson band of a share of
    so many test examples, at each radius on its own.
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
    """Average certified radius: the area under the curve of certified accuracy."""
    return float(np.mean(np.where(correct, radius, 0.0)))


@cache
def share_band(k: int, n: int) -> tuple[float, float]:
    """The two-sided 95% Clopper-Pearson interval of a share of k among n > 0."""
    return clopper_pearson_lower(k, n, OUTSIDE), clopper_pearson_upper(k, n, OUTSIDE)
