"""Finished runs, read back: the table, the settings and the draws of each."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.run_folder import load_draws
from experiments.table import read_table
from smoothing import CenterDraws

ROWS_SHOWN = 24
SHOWN = (
    *("index", "eps_in", "eps_out", "smoothing_error", "label", "predict", "radius", "distance"),
    *("factor", "adversarial", "p_lower", "p_value", "status", "failure_probability", "seconds"),
)


@dataclass(frozen=True)
class Run:
    """One run folder."""

    folder: Path
    record: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        return self.record["identity"]

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_table(self.folder)

    @cached_property
    def draws(self) -> dict[int, CenterDraws]:
        """Draws of the examples in the table, by index."""
        found = {index: load_draws(self.folder / "draws" / f"{index}.npz") for index in self.table["index"].unique()}
        return {int(index): kept[0] for index, kept in found.items() if kept is not None}


def find_runs(source: Path) -> list[Run]:
    """All run folders below `source` that hold a table, in order of their paths."""
    folders = sorted({path.parent for path in source.rglob("run*.json")})
    return [Run(folder, json.loads(min(folder.glob("run*.json")).read_text())) for folder in folders]


def median_with_abstentions(values: NDArray[np.float64], certified: NDArray[np.bool_]) -> float:
    """Median in which an example without a certificate counts as +infinity; the upper one of two. NaN if empty.

    The upper one, because a mean with infinity says nothing.
    """
    if len(values) == 0:
        return float("nan")
    return float(np.sort(np.where(certified, values, np.inf))[len(values) // 2])


def terminal_table(folder: Path) -> str:
    """A run's table for people: its rows where they are few, else a summary."""
    table = read_table(folder)
    if len(table) <= ROWS_SHOWN:
        shown = [name for name in SHOWN if name in table]
        return table[shown].to_string(index=False, float_format=lambda value: f"{value:.4g}")
    if "eps_in" in table:
        return "\n".join(_center_summary(table))
    counts = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
    right = "success" if "success" in table else "correct"
    by = table.groupby("factor") if "factor" in table else [("all", table)]
    lines = [f"{name}: {right} {rows[right].mean():.1%} of {len(rows)}" for name, rows in by]
    return "\n".join([counts, *lines])


def _center_summary(table: pd.DataFrame) -> list[str]:
    lines = [f"{'eps_in':>8} {'examples':>9} {'certified':>10} {'median eps_out':>15} {'median smoothing error':>23}"]
    for eps, rows in table.groupby("eps_in"):
        certified = (rows["status"] == "certified").to_numpy()
        accepted = (rows["status"] != "abstained").to_numpy()
        out = median_with_abstentions(rows["eps_out"].to_numpy(), certified)
        error = median_with_abstentions(rows["smoothing_error"].to_numpy(), accepted)
        lines.append(f"{eps:>8.4g} {len(rows):>9} {certified.mean():>10.0%} {out:>15.4g} {error:>23.4g}")
    return lines
