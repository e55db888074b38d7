"""Make rows of a finished run again, from its run.json alone, and lay them beside the old ones.

python -m experiments.again results/digits_dssn/sigma=0.25-seed=0-5a147beae4/run.json 0 7

Examples are named by their index; the first of the table where none is. A network that train.py trained is trained
first, where its checkpoint is not under checkpoints.root. Nothing is written into the old run's folder. Exit code 1
where a row differs by more than rounding: another device, another number of threads or another version of a library
may round a network's outputs otherwise.
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
from experiments.training.loop import train
from experiments.training.weights import needs_checkpoint
from smoothing import SettingError

TOLERANCE = 1e-5  # of a number's size, or absolute below 1: float32 outputs rounded otherwise
NOT_COMPARED = ["seconds"]


def settings_of(record: dict[str, Any]) -> Settings:
    """The checked settings that a run was made with; keys that are younger than it have their defaults.

    Raises:
        SettingError: the record holds keys that are no longer known.
    """
    config = {key: value for key, value in record["config"].items() if value is not None}
    noise = config.get("noise", {})
    if "grid" not in record["identity"] and noise and _takes_grid(noise):
        config["noise"] = noise | {"grid": 0}  # before grids, noise was not rounded
    defaults = OmegaConf.to_container(schema(Settings))
    cfg = OmegaConf.merge(defaults, {"eps": None}, config)  # a run that reads no eps has none
    return replace(checked(cfg, Settings), limit=None, shard=Shard(), logger=None, also=[])  # type: ignore[arg-type]


def _takes_grid(noise: dict[str, Any]) -> bool:
    return "grid" in checked_group("noise", noise).arguments


def made_again(
    record_path: Path, indices: list[int], dataset_root: str | None = None, checkpoints_root: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of some examples, as they stand in a run's table and as they come out now.

    Args:
        record_path: run.json.
        indices: of the examples; the first of the table if empty.
        dataset_root: where the data is; None: where the run had it.
        checkpoints_root: the same of checkpoints.

    Raises:
        SmoothingError: as `certify` and `train`; or the table has no such example.
    """
    record = read_record(record_path)
    old = read_table(record_path.parent)
    if old.empty:
        raise SettingError(f"{record_path.parent}: has no rows")
    indices = indices or [int(old["index"].iloc[0])]
    if missing := sorted(set(indices) - set(old["index"])):
        raise SettingError(f"{record_path.parent}: has no example {missing[0]}")
    settings = replace(settings_of(record), indices=indices)
    if dataset_root:
        settings = replace(settings, dataset=settings.dataset.replaced(root=dataset_root))
    if checkpoints_root:
        settings = replace(settings, checkpoints=Folder(checkpoints_root))
    if needs_checkpoint(settings):
        train(settings)
    with tempfile.TemporaryDirectory() as folder:
        new = read_table(certify(replace(settings, results=Folder(folder))).parent)
    return old[old["index"].isin(indices)].reset_index(drop=True), new.reset_index(drop=True)


def differences(old: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """The largest difference of each column: of numbers relative to their size where that is above 1, else 1 or 0."""
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
    parser.add_argument("indices", type=int, nargs="*", help="examples; the first of the table if none")
    parser.add_argument("--data", help="dataset.root, where it is not the run's own")
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
