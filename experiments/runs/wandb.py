"""Following a run from elsewhere. The CSV and run.json are the record; a logger only repeats them.

logger=none, the default, is no logger; logger=wandb is Weights & Biases, offline unless logger.mode=online is asked
for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.runs.reader import median_with_abstentions


class WandbLogger:
    """Weights & Biases.

    Args:
        project: its name there.
        mode: offline (kept under `folder`/wandb until `wandb sync`, no network asked) or online.
        folder: that wandb writes to.
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
        """Rows as they come, a step each: an epoch's losses, or an example's certificates with `so_far`."""
        for row in rows:
            self._rows.append(dict(row))
            self._run.log(dict(row) | (so_far(self._rows) if "status" in row else {}))

    def table(self, name: str, table: pd.DataFrame) -> None:
        """A finished table, whole; a column that is not of numbers as text, as wandb wants one type a column."""
        text = table.select_dtypes(exclude="number").columns
        self._run.log({name: self._wandb.Table(dataframe=table.astype(dict.fromkeys(text, str)))})

    def figure(self, name: str, path: Path) -> None:
        """A drawn figure, from its PNG file."""
        self._run.log({name: self._wandb.Image(str(path))})

    def finish(self) -> None:
        """Write out what is left, to the last byte; nothing can be logged after it."""
        self._run.finish()
        self._wandb.teardown()


def so_far(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What a run's rows say up to now, by name; empty for rows of which nothing accumulates.

    Of labelled examples the certified accuracy at radius 0 and the average certified radius; of output certificates the
    median eps_out at the last row's eps_in, with those that are not certified as infinite.
    """
    table = pd.DataFrame(rows)
    found = {"so_far/certified": float((table["status"] == "certified").mean())}
    if {"correct", "radius"} <= set(table):
        right = table["correct"].astype(bool)
        found["so_far/certified accuracy"] = float((right & (table["status"] == "certified")).mean())
        found["so_far/average certified radius"] = float(table["radius"].where(right, 0.0).mean())
    elif "eps_out" in table:
        eps = table["eps_in"].iloc[-1]
        same = table[table["eps_in"] == eps]
        median = median_with_abstentions(same["eps_out"].to_numpy(), (same["status"] == "certified").to_numpy())
        found[f"so_far/median eps_out at eps_in = {eps:g}"] = median
    else:
        right = "success" if "success" in table else "correct"
        found = {f"so_far/{right}": float(table[right].astype(bool).mean())}
    return found
