"""The dashed line of figure 6: an upper bound on the robustness of the network trained on clean images, unsmoothed."""

import numpy as np
import pandas as pd

from experiments.report.certified_accuracy import Values, certified_accuracy
from experiments.runs.reader import StoredRun, find_runs, started, training_sigma

NAME = "undefended, upper bound (DeepFool)"


def undefended_beside(run: StoredRun) -> StoredRun | None:
    """The run of <data set>_undefended in the same results folder as a run of <data set>_gaussian, or None.

    It must have the same data set and model and be trained without noise. The latest one is taken.
    """
    experiment = str(run.record["config"]["name"]).replace("_gaussian", "_undefended")
    found = [
        other
        for other in find_runs(run.folder.resolve().parents[1] / experiment)
        if other.identity["certifier"]["type"] == "DeepFool"
        and training_sigma(other) == 0
        and all(other.identity.get(group) == run.identity.get(group) for group in ("dataset", "model"))
        and len(other.table)
    ]
    return max(found, key=started, default=None)


def upper_bound(run: StoredRun, at: Values) -> pd.DataFrame:
    """The share of test examples that DeepFool cannot change within each radius of `at`, like `certified_accuracy`."""
    distance = run.table["distance"].to_numpy(dtype=np.float64)
    survived = np.nextafter(distance, 0)  # the largest radius without a success: the share counts distance > r
    return certified_accuracy(distance > 0, survived, at)


def capped_distances(run: StoredRun, end: float) -> "pd.Series[float]":
    """The distance of each example, by its index, capped at `end`. Their mean is the area under `upper_bound`."""
    return pd.Series(run.table["distance"].clip(upper=end).to_numpy(dtype=np.float64), index=run.table["index"])
