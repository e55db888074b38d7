"""Figures 7 and 13 of Cohen et al.: smoothing compared with other certified defences, which used others' networks."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.papers.cohen2019.results import HERE, CohenFigure, alpha_notes, in_order
from experiments.report.certified_accuracy import certified_accuracy, rows_of
from experiments.report.figure import Drawing
from experiments.report.left_out import NOT_LISTED, OLDER, not_in
from experiments.report.text_table import texts
from experiments.report.titles import title_of
from experiments.runs.reader import StoredRun, experiment_of, sigma_of

BEST = "largest over sigma"
OTHERS = HERE / "baselines.csv"


class Baselines(CohenFigure):
    """Certified accuracy by smoothing, from runs, and a list of the figures' other methods with why they are missing.

    Args:
        experiments: see `Figure`. Only their runs are used.
        radii: the columns, in the units of the paper's figures. These are [0, 1] pixel units, or those divided by the
            standard deviation if the data is normalised before noise is added (`CIFAR10Preprocessed`).
    """

    def __init__(self, experiments: list[str], radii: list[float]) -> None:
        super().__init__(experiments)
        self.radii = radii

    def why_not(self, run: StoredRun) -> str:
        return super().why_not(run) or ("" if experiment_of(run) in self.experiments else NOT_LISTED)

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([run for found in _by_network(runs).values() for run in in_order(found)], runs, OLDER)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {key: value for key, value in super().setting(run).items() if key != "model"}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        by_network = sorted(_by_network(runs).items())
        smoothing = pd.concat([self._accuracies(network, found) for network, found in by_network])
        others = pd.read_csv(OTHERS)
        name = runs[0].record["config"]["name"]
        units = f"pixels / {_std(runs[0]):g}" if _std(runs[0]) != 1 else "[0, 1] pixel units"
        caption = f"Certified accuracy by smoothing at l2 radii r and sigma in {units}, {title_of(name)}"
        columns = ["network", "sigma", *(f"r = {radius:g}" for radius in self.radii)]
        lines = [
            [model, sigma, *(f"{accuracy:.2f}" for accuracy in part.set_index("radius").loc[self.radii, "accuracy"])]
            for (model, sigma), part in smoothing.groupby(["network", "sigma"], sort=False)
        ]
        absent = "Methods of figures 7 and 13 that are not in the table above"
        tables = [(caption, columns, lines), (absent, list(others), others.astype(str).to_numpy().tolist())]
        table = pd.concat([others.assign(radius=np.nan), smoothing.assign(method="smoothing", source=name)])
        return Drawing(None, table, pd.DataFrame(), alpha_notes(runs), texts(tables))

    def _accuracies(self, model: str, runs: list[StoredRun]) -> pd.DataFrame:
        """One row for each sigma and radius, and one for the best sigma at each radius."""
        parts = [
            certified_accuracy(*rows_of(run), np.array(self.radii) * _std(run)).assign(
                radius=self.radii, sigma=f"{sigma_of(run) / _std(run):g}"
            )
            for run in in_order(runs)
        ]
        table = pd.concat(parts, ignore_index=True)
        best = table.loc[table.groupby("radius")["accuracy"].idxmax()].assign(sigma=BEST)
        return pd.concat([table, best], ignore_index=True).assign(network=model)


def _std(run: StoredRun) -> float:
    """The standard deviation by which pixels were divided before noise was added. 1 if they were not."""
    dataset = run.identity["dataset"]
    stds = set(dataset["std"]) if dataset["type"] == "CIFAR10Preprocessed" else {1.0}
    return float(stds.pop()) if len(stds) == 1 else 1.0


def _by_network(runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
    found: dict[str, list[StoredRun]] = {}
    for run in runs:
        found.setdefault(_network(run), []).append(run)
    return found


def _network(run: StoredRun) -> str:
    model = run.identity["model"]
    return f"{model['type']}-{model['depth']}" if "depth" in model else str(model["type"])
