"""Logging a run to Weights & Biases. The record of a run is the CSV and run.json; a logger only copies them.

logger=none, the default, logs nothing. logger=wandb logs offline unless logger.mode=online is set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.runs.reader import median_with_abstentions


class WandbLogger:
    """Weights & Biases.

    Args:
        project: name of the project.
        mode: offline (stored under `folder`/wandb until `wandb sync`, without network access) or online.
        folder: the folder that wandb writes to.
        config: the run's configuration.
    """

    def __init__(self, project: str, mode: str, folder: str, config: dict[str, Any]) -> None:
        import wandb

        Path(folder).mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off")
        self._wandb, self._rows = wandb, list[dict[str, Any]]()
        self._run = wandb.init(
            project=project,
            mode=mode,  # type: ignore[arg-type]
            dir=folder,
            name=config.get("name"),
            config=config,
            settings=quiet,
        )

    def log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Log new rows, one step each: the losses of an epoch, or the certificates of an example with `so_far`."""
        for row in rows:
            self._rows.append(dict(row))
            self._run.log(dict(row) | (so_far(self._rows) if "status" in row else {}))

    def table(self, name: str, table: pd.DataFrame) -> None:
        """Log a finished table. Columns that are not numeric become text, because wandb needs one type per column."""
        text = table.select_dtypes(exclude="number").columns
        self._run.log({name: self._wandb.Table(dataframe=table.astype(dict.fromkeys(text, str)))})

    def figure(self, name: str, path: Path) -> None:
        """Log a figure from its PNG file."""
        self._run.log({name: self._wandb.Image(str(path))})

    def finish(self) -> None:
        """Flush everything and close. Nothing can be logged afterwards."""
        self._run.finish()
        self._wandb.teardown()


def so_far(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Running summaries of a run's rows, by name.

    Certificates of classes: the certified share, the certified accuracy at radius 0 and the ACR.
    Certificates of outputs: the certified share, and the median eps_out at the last row's eps_in, counting examples
    without a certificate as infinite. Predictions and attacks: the share that is correct, or succeeds.
    """
    table = pd.DataFrame(rows)
    found = {"so_far/certified": float((table["status"] == "certified").mean())}
    if {"correct", "radius"} <= set(table):
        right = table["correct"].astype(bool)
        found["so_far/certified accuracy"] = float((right & (table["status"] == "certified")).mean())
        found["so_far/ACR (average certified radius)"] = float(table["radius"].where(right, 0.0).mean())
    elif "eps_out" in table:
        eps = table["eps_in"].iloc[-1]
        same = table[table["eps_in"] == eps]
        median = median_with_abstentions(same["eps_out"].to_numpy(), (same["status"] == "certified").to_numpy())
        found[f"so_far/median eps_out at eps_in = {eps:g}"] = median
    else:
        right = "success" if "success" in table else "correct"
        found = {f"so_far/{right}": float(table[right].astype(bool).mean())}
    return found
