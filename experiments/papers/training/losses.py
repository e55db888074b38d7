"""The loss of each epoch of trainings, from their logs: precisions side by side, then the other methods."""

import json
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from experiments.papers.training.results import CLAIMS, TRAINERS
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, TheoryFigure
from experiments.report.layout import head, panels
from experiments.report.symbols import sigma_text
from experiments.runs.reader import StoredRun
from smoothing import SettingError

ROOT = Path(__file__).parents[3]
PRECISIONS = {"32-true": "float32", "bf16-mixed": "bfloat16"}
HEIGHT = 2.6  # inches, of a panel
FURTHEST = "largest difference of an epoch's loss from that in float32, relative to it"


class TrainingLosses(TheoryFigure):
    """The loss against the epoch: methods trained in two precisions at the left, the others at the right. No runs.

    Args:
        logs: folder of checkpoints' folders, relative to the suite, of which only checkpoint.json and training.csv are
            read. All have the same network, data set and sigma.

    Raises:
        SettingError: there are no logs.
    """

    def __init__(self, logs: str) -> None:
        super().__init__()
        self.logs = ROOT / logs

    def draw(self, runs: list[StoredRun]) -> Drawing:
        table = _read(self.logs)
        both = table.groupby("method")["precision"].transform("nunique") > 1
        parts = [part for part in (table[both], table[~both]) if len(part)]
        figure, axes = panels(len(parts), HEIGHT)
        named = [(axis, _draw_panel(axis, part)) for axis, part in zip(axes, parts, strict=True)]
        axes[0].set_ylabel("loss, mean of an epoch")
        model, data, sigma = table[["model", "data", "sigma"]].iloc[0]
        head(figure, f"{model} on {data}, {sigma_text(sigma)}: training loss")
        name_curves(figure, named)
        found = {FURTHEST: _furthest(table[both])}
        return Drawing(figure, table, verdicts(CLAIMS, "training_losses", found), _notes(table))


def _read(folder: Path) -> pd.DataFrame:
    """One row per training and epoch. Columns: method, precision, epochs, model, data, sigma, epoch, loss, accuracy."""
    parts = []
    for file in sorted(folder.glob("*/checkpoint.json")):
        trained_as = json.loads(file.read_text())["trained_as"]
        trainer, log = trained_as["trainer"], pd.read_csv(file.with_name("training.csv"))
        about = {
            "method": TRAINERS[trainer["type"]],
            "precision": PRECISIONS[trainer.get("precision", "32-true")],
            "epochs": trainer["epochs"],
            "model": trained_as["model"]["type"],
            "data": trained_as["dataset"]["type"],
            "sigma": trained_as["noise"]["sigma"],
        }
        parts.append(log[["epoch", "loss", "accuracy"]].assign(**about))
    if not parts:
        raise SettingError(f"figure.logs: no checkpoint.json in the folders of {folder}")
    return pd.concat(parts, ignore_index=True)


def _draw_panel(axis: Axes, table: pd.DataFrame) -> list[Curve]:
    curves = []
    for k, ((method, precision), log) in enumerate(table.groupby(["method", "precision"], sort=False)):
        name = f"{method}, {precision}" if table["method"].nunique() == 1 else str(method)
        axis.plot(log["epoch"], log["loss"], color=f"C{k}", linestyle=LINES[k], label=name)
        curves.append(Curve(log["epoch"].to_numpy(float), log["loss"].to_numpy(float), name, f"C{k}"))
    axis.set(xlabel="epoch", ylim=(0, None))
    return curves


def _furthest(table: pd.DataFrame) -> dict[str, float]:
    """The largest relative difference of the losses of an epoch, by method."""
    found = {}
    for method, logs in table.groupby("method"):
        losses = logs.pivot(index="epoch", columns="precision", values="loss")
        found[str(method)] = float((losses["bfloat16"] / losses["float32"] - 1).abs().max())
    return found


def _notes(table: pd.DataFrame) -> list[str]:
    last = table.groupby(["method", "precision"], sort=False).last()
    return [
        f"{method}, {precision}: loss {row.loss:.4g} and accuracy {row.accuracy:.1%} in the last of {row.epochs} epochs"
        for (method, precision), row in zip(last.index, last.itertuples(), strict=True)
    ]
