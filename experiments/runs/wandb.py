"""Logging a run to Weights & Biases. The record of a run is the CSV and run.json; a logger only copies them.

logger=none, the default, logs nothing. logger=wandb logs offline unless logger.mode=online is set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from experiments.runs.so_far import so_far
from smoothing import SettingError


class WandbLogger:
    """Weights & Biases.

    Args:
        project: name of the project.
        mode: offline (stored under `folder`/wandb until `wandb sync`, without network access) or online.
        folder: the folder that wandb writes to.
        config: the run's configuration.

    Raises:
        SettingError: the folder cannot be made.
    """

    def __init__(self, project: str, mode: Literal["offline", "online"], folder: str, config: dict[str, Any]) -> None:
        import wandb

        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"logger.folder: {folder} cannot be made ({error.strerror}); choose another") from error
        quiet = wandb.Settings(silent=True, console="off")
        self._wandb, self._rows = wandb, list[dict[str, Any]]()
        self._run = wandb.init(
            project=project,
            mode=mode,
            dir=folder,
            name=config.get("name"),
            config=config,
            settings=quiet,
        )

    def log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Log new rows, one step each: the losses of an epoch, or the certificates of an example with `so_far`."""
        for row in rows:
            self._rows.append(dict(row))
            self._run.log(dict(row) | (_prefixed(so_far(self._rows)) if "status" in row else {}))

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


def _prefixed(found: dict[str, float]) -> dict[str, float]:
    return {f"so_far/{name}": value for name, value in found.items()}
