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
