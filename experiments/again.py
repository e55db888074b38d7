"""Recompute rows of a finished run from its run.json alone, and compare them with the stored rows.

python -m experiments.again results/digits_dssn/sigma=0.25-seed=0-5a147beae4/run.json 0 7

Give the indices of the examples; without any, the first example of the table is recomputed. If the run needs a
checkpoint that is not under checkpoints.root, the network is trained first. Nothing is written into the old run's
folder. The exit code is 1 if a row differs by more than rounding. Another device, number of threads or library version
may round a network's outputs differently.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from experiments.certifying.certification import certify
from experiments.config.check import checked, checked_group
from experiments.config.entry import line_of
from experiments.config.schema import register, schema
from experiments.config.settings import Folder, Settings, Shard
from experiments.runs.reader import read_record
from experiments.runs.table import read_table
from experiments.training.weights import needs_checkpoint
from smoothing import SettingError

TOLERANCE = 1e-5  # relative above 1, else absolute; for rounding of float32 outputs
NOT_COMPARED = ["seconds"]


def settings_of(record: dict[str, Any]) -> Settings:
    """The checked settings of a run. Keys that were added later get their defaults.

    Raises:
        SettingError: the record holds keys that no longer exist.
    """
    config = {key: value for key, value in record["config"].items() if value is not None}
    noise = config.get("noise", {})
    if "grid" not in record["identity"] and noise and _takes_grid(noise):
        config["noise"] = noise | {"grid": 0}  # earlier runs, without grids, did not round
    defaults = OmegaConf.to_container(schema(Settings))
    cfg = OmegaConf.merge(defaults, {"eps": None}, config)  # a run without eps does not use it
    return replace(checked(cfg, Settings), limit=None, shard=Shard(), logger=None, also=[])  # type: ignore[arg-type]


def _takes_grid(noise: dict[str, Any]) -> bool:
    return "grid" in checked_group("noise", noise).arguments


def made_again(
    record_path: Path, indices: list[int], dataset_root: str | None = None, checkpoints_root: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of some examples: those stored in a run's table, and those computed now.

    Args:
        record_path: the run's run.json.
        indices: indices of the examples; empty: the first example of the table.
        dataset_root: folder of the data; None: the run's own dataset.root.
        checkpoints_root: folder of the checkpoints; None: the run's own checkpoints.root.

    Raises:
        SmoothingError: as `certify` and `train`, or the table has no such example.
    """
    if record_path.is_dir():
        raise SettingError(f"{record_path}: a folder; give the run.json of one run, such as {_example(record_path)}")
    record = read_record(record_path)
    old = read_table(record_path.parent)
    if old.empty:
        raise SettingError(f"{record_path.parent}: expected a table with rows, got none; choose another run")
    indices = indices or [int(old["index"].iloc[0])]
    if missing := sorted(set(indices) - set(old["index"])):
        raise SettingError(f"{record_path.parent}: has no example {missing[0]}; choose examples of its table")
    settings = replace(settings_of(record), indices=indices)
    if dataset_root:
        settings = replace(settings, dataset=settings.dataset.replaced(root=dataset_root))
    if checkpoints_root:
        settings = replace(settings, checkpoints=Folder(checkpoints_root))
    if needs_checkpoint(settings):
        from experiments.training.loop import train  # here, because importing Lightning takes seconds

        train(settings)
    with tempfile.TemporaryDirectory() as folder:
        new = read_table(certify(replace(settings, results=Folder(folder))).parent)
    return old[old["index"].isin(indices)].reset_index(drop=True), new.reset_index(drop=True)


def _example(folder: Path) -> Path:
    return min(folder.rglob("run*.json"), default=folder / "run.json")


def differences(old: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """The largest difference in each column. Numbers: relative above 1, else absolute. Text: 1 if different, else 0."""
    found = {}
    for name in (name for name in old if name not in NOT_COMPARED):
        a, b = old[name], new[name] if name in new else old[name] * np.nan
        if len(a) != len(b):
            found[name] = float("inf")
        elif pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b):
            x, y = a.to_numpy(dtype=float), b.to_numpy(dtype=float)
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            with np.errstate(invalid="ignore"):
                gap = np.where(same, 0.0, np.abs(x - y) / np.maximum(1.0, np.abs(x)))
            found[name] = float(np.nan_to_num(gap, nan=np.inf).max())
        else:
            found[name] = float((a.fillna("").astype(str) != b.fillna("").astype(str)).any())
    return pd.Series(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("record", type=Path, help="a run's run.json")
    parser.add_argument("indices", type=int, nargs="*", help="examples; default: the first of the table")
    parser.add_argument("--data", help="dataset.root, if not the run's own")
    parser.add_argument("--checkpoints", help="checkpoints.root")
    given = parser.parse_args()
    register()
    try:
        old, new = made_again(given.record, given.indices, given.data, given.checkpoints)
    except Exception as error:
        sys.exit(f"again: {line_of(error)}")
    gaps = differences(old, new)
    shown = [name for name in ("index", "eps_in", "eps_out", "predict", "radius", "n_a", "status") if name in old]
    print(pd.concat({"old": old[shown], "new": new[shown]}, axis=1).to_string(index=False))
    print(f"largest difference: {gaps.max():.3g} in {gaps.idxmax()}" if gaps.max() else "equal to the last digit")
    if gaps.max() > TOLERANCE:
        sys.exit(1)


if __name__ == "__main__":
    main()
