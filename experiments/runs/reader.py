"""Finished runs, read back: the table, the settings and the draws of each."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.runs.run_folder import load_draws
from experiments.runs.table import read_table
from smoothing import CenterDraws, SettingError

PUBLISHED = "_published"  # added to an experiment's name for what is drawn from its authors' own files


@dataclass(frozen=True)
class StoredRun:
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


def find_runs(source: Path) -> list[StoredRun]:
    """All run folders below `source` that hold a table, in order of their paths."""
    folders = sorted({path.parent for path in source.rglob("run*.json")})
    return [StoredRun(folder, read_record(min(folder.glob("run*.json")))) for folder in folders]


def read_record(path: Path) -> dict[str, Any]:
    """A run.json. Raises SettingError where the file is something else."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        record["config"]["name"], record["identity"]["certifier"]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{path}: not a run record") from error
    return record


def experiment_of(run: StoredRun) -> str:
    """The experiment that a run belongs to, whether ours or published."""
    name: str = run.record["config"]["name"]
    return name.removesuffix(PUBLISHED)


def sigma_of(run: StoredRun) -> float:
    return float(run.identity["noise"]["sigma"])


def training_sigma(run: StoredRun) -> float | None:
    """Of the noise that the base classifier was trained with: 0 if without, None if the run does not say."""
    if "noise" not in run.identity.get("training", {}):
        return None
    noise = run.identity["training"]["noise"]
    return float(noise["sigma"]) if noise else 0.0


def noise_matches(run: StoredRun) -> bool:
    """Whether the base classifier was trained with the noise of certification, as far as the run says."""
    trained = training_sigma(run)
    return trained is None or trained == sigma_of(run)


def apart_from_noise(run: StoredRun, *also: str) -> dict[str, Any]:
    """A run's identity without its noise, of certification and of training, and without the weights, which follow it.

    Args:
        run: any.
        also: further keys of the training that do not count.
    """
    same = {key: value for key, value in run.identity.items() if key != "noise"}
    if "training" in same:
        apart = ("noise", "noisy", "weights", *also)
        same["training"] = {key: value for key, value in same["training"].items() if key not in apart}
    return same


def median_with_abstentions(values: NDArray[np.float64], certified: NDArray[np.bool_]) -> float:
    """Median in which an example without a certificate counts as +infinity; the upper one of two. NaN if empty.

    The upper one, because a mean with infinity says nothing.
    """
    if len(values) == 0:
        return float("nan")
    return float(np.sort(np.where(certified, values, np.inf))[len(values) // 2])
