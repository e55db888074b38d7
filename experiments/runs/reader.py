"""Read finished runs: the table, the settings and the draws of each."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.machine.words import counted
from experiments.runs.certifier_class import certifier_class
from experiments.runs.examples import listed_rows
from experiments.runs.run_folder import load_draws
from experiments.runs.table import read_table
from smoothing import CenterDraws, SettingError

PUBLISHED = "_published"  # suffix of an experiment's name for results from the authors' published files


@dataclass(frozen=True)
class StoredRun:
    """A finished run.

    Attributes:
        folder: its folder.
        record: the content of its run.json.
        label: its name in a comparison; empty outside of one.
    """

    folder: Path
    record: dict[str, Any]
    label: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        return self.record["identity"]

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_table(self.folder)

    @cached_property
    def inputs(self) -> dict[int, str]:
        """The hash of each listed example, by index. Earlier runs and the authors' files have none."""
        return {row["index"]: row["input"] for row in listed_rows(self.folder) if row["input"]}

    @cached_property
    def draws(self) -> dict[int, Any]:
        """Draws of the examples in the table, by index, of the certifier's class `draws`."""
        certifier = certifier_class(self.record)
        kind = certifier.draws if certifier and certifier.draws else CenterDraws
        folder = self.folder / "draws"
        found = {index: load_draws(folder / f"{index}.npz", kind) for index in self.table["index"].unique()}
        return {int(index): kept[0] for index, kept in found.items() if kept is not None}


def asked_of(run: StoredRun) -> int:
    """The readable examples that a run is to have, in all shards; those that it has, if that is more or not recorded.

    The largest number that any of its commands asked for, see `RunFolder.expect`.
    """
    records = _records(run)
    skipped = {index for record in records for index in record.get("skipped", [])}
    return max(max((record.get("asked", 0) for record in records), default=0) - len(skipped), _done(run))


def unfinished(run: StoredRun) -> str:
    """How many of the examples that it is to have a run has, and how it is finished; empty if it has all.

    Earlier runs do not say how many they are to have.
    """
    done, asked = _done(run), asked_of(run)
    if done == asked:
        return ""
    return f"{run.folder}: {done} of {counted(asked, 'example')}{_how_to_finish(run, asked - done)}"


def _how_to_finish(run: StoredRun, missing: int) -> str:
    records = _records(run)
    sources = {each["from"] for record in records for each in record.get("read_again", [])}
    own = f"{run.folder.parent.name}/{run.folder.name}"  # at more eps
    if any(source != own and not source.endswith(".csv") for source in sources):  # .csv: a table of its own shards
        return (
            f"; it was read again without sampling. The other {missing} need new samples, as those that abstained do: "
            "they are no random choice. certify.py with its settings adds them"
        )
    asked = max(record.get("asked", 0) for record in records)
    resumed = [record["resumed"][-1] for record in records if record.get("resumed")]
    if (latest := min((start.get("asked", asked) for start in resumed), default=asked)) < asked:
        return f", and a later command asked for {latest} only; run the one for all of them again to finish"
    each = " for each shard" * any("-of-" in path.name for path in _paths(run))
    return f"; run its command again{each} to finish"


def _records(run: StoredRun) -> list[dict[str, Any]]:
    return [read_record(path) for path in _paths(run)]


def _paths(run: StoredRun) -> list[Path]:
    return list(run.folder.glob("run*.json"))


def _done(run: StoredRun) -> int:
    return run.table["index"].nunique() if len(run.table) else 0


def find_runs(source: Path) -> list[StoredRun]:
    """All run folders below `source`, those with a run.json, sorted by path."""
    folders = sorted({path.parent for path in source.rglob("run*.json")})
    return [StoredRun(folder, read_record(min(folder.glob("run*.json")))) for folder in folders]


def read_record(path: Path) -> dict[str, Any]:
    """The content of a run.json. Raises SettingError if the file is anything else."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        record["config"]["name"], record["identity"]["certifier"]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{path}: not a run.json of this suite; move the file away") from error
    return record


def experiment_of(run: StoredRun) -> str:
    """Name of the experiment that a run belongs to, also for published results."""
    name: str = run.record["config"]["name"]
    return name.removesuffix(PUBLISHED)


def started(run: StoredRun) -> str:
    """When a run started, as a text that sorts by time. The authors' files do not say it; they come last."""
    return str(run.record.get("started"))


def oldest_first(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """Runs sorted by when they started, so that a dictionary of them keeps the latest of each key."""
    return sorted(runs, key=started)


def sigma_of(run: StoredRun) -> float:
    """Sigma of the noise of certification, in the units of the input. Raises KeyError if the noise has none."""
    return float(run.identity["noise"]["sigma"])


def training_sigma(run: StoredRun) -> float | None:
    """Sigma of the base classifier's training noise: 0 if trained on clean images, None if the run does not say."""
    training = run.identity.get("training", {})
    if "noise" not in training or (training["noise"] and "sigma" not in training["noise"]):
        return None
    return float(training["noise"]["sigma"]) if training["noise"] else 0.0


def noise_matches(run: StoredRun) -> bool:
    """Whether the base function was trained with the noise and sigma of certification. True if the run does not say."""
    training = run.identity.get("training", {})
    own, trained = run.identity.get("noise") or {}, training.get("noise") or {}
    return "noise" not in training or all(trained.get(name) == own.get(name) for name in ("type", "sigma"))


def apart_from_noise(run: StoredRun, *also: str) -> dict[str, Any]:
    """A run's identity without the noise of certification and of training, and without the weights, which depend on it.

    Args:
        run: the run.
        also: more keys of the training to leave out.
    """
    same = {key: value for key, value in run.identity.items() if key != "noise"}
    if "training" in same:
        apart = ("noise", "noisy", "weights", *also)
        same["training"] = {key: value for key, value in same["training"].items() if key not in apart}
    return same


def median_with_abstentions(values: NDArray[np.float64], certified: NDArray[np.bool_]) -> float:
    """The median, counting examples without a certificate as +infinity. NaN if `values` is empty.

    For an even number of values it is the mean of the two middle ones, infinite if one of them is.

    Examples:
        >>> certified = np.array([True, True, True, False])
        >>> median_with_abstentions(np.array([3.0, 1.0, 2.0, 0.0]), certified)
        2.5
    """
    return float(np.median(np.where(certified, values, np.inf))) if len(values) else float("nan")
