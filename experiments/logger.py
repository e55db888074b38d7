"""Following a run from elsewhere. The CSV and run.json are the record; a logger only repeats them."""

from typing import Any


class WandbLogger:
    """Weights & Biases.

    Args:
        project: its name there.
        mode: online, or offline (kept under ./wandb until `wandb sync`).
        config: the run's configuration.
    """

    def __init__(self, project: str, mode: str, config: dict[str, Any]) -> None:
        import wandb

        self._run = wandb.init(project=project, mode=mode, name=config["name"], config=config)  # type: ignore[arg-type]

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Rows of the table, one step each."""
        for row in rows:
            self._run.log(row)
