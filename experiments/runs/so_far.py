"""Running summaries of a run's rows, for the progress lines and for loggers."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from experiments.runs.reader import median_with_abstentions


def so_far(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Running summaries of a run's rows, by name.

    Certificates of classes: the certified share, the certified accuracy at radius 0 and the average certified radius.
    Certificates of outputs: the certified share, and the median eps_out at the last row's eps_in, counting examples
    without a certificate as infinite. Predictions and attacks: the share that is correct, or succeeds. Rows of other
    certifiers: the certified share.
    """
    table = pd.DataFrame(rows)
    found = {"certified": float((table["status"] == "certified").mean())}
    if {"correct", "radius"} <= set(table):
        known = table["correct"].astype(bool)
        found["certified accuracy"] = float((known & (table["status"] == "certified")).mean())
        found["ACR (average certified radius)"] = float(table["radius"].where(known, 0.0).mean())
    elif "eps_out" in table:
        eps = table["eps_in"].iloc[-1]
        same = table[table["eps_in"] == eps]
        median = median_with_abstentions(same["eps_out"].to_numpy(), (same["status"] == "certified").to_numpy())
        found[f"median eps_out at eps_in = {eps:g}"] = median
    elif right := next((name for name in ("success", "correct") if name in table), None):
        found = {right: float(table[right].astype(bool).mean())}
    return found
