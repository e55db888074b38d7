"""Ours: photographs, noisy copies of them, and the class that the smoothed classifier is certified to answer."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from experiments.config.settings import Group
from experiments.data import LabelledDataset
from experiments.machine.words import at_least
from experiments.papers.cohen2019.noisy_images import CLIPPED, noise_of
from experiments.report.figure import Drawing, Figure
from experiments.report.layout import WIDTH, head
from experiments.report.left_out import another
from experiments.report.photograph import show
from experiments.report.symbols import sigma_text
from experiments.runs.reader import StoredRun, apart_from_noise, sigma_of
from smoothing import ABSTAIN, SettingError

WRONG = "red: another class than the true one"
LETTERS = 17  # of a class below a photograph
LARGEST = 1.8  # inches of a photograph's side


class CertifiedPhotographs(Figure):
    """Photographs, one row each, and a noisy copy for each run, with the certified class and radius below it.

    Args:
        experiments: see `Figure`.
        indices: indices of the photographs, of which the runs must have certified at least one.

    Raises:
        SettingError: `indices` is empty.
    """

    def __init__(self, experiments: list[str], indices: list[int]) -> None:
        super().__init__(experiments)
        if not indices:
            raise SettingError("figure.indices: expected at least one index")
        self.indices = indices

    def why_not(self, run: StoredRun) -> str:
        if not {"radius", "predict"} <= set(run.table) or run.table["index"].duplicated().any():
            return "its rows are not one certified class for each example"
        if not self._shown(run):
            return "it has certified none of figure.indices"
        return another(run, "noise", "Gaussian")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run) | {"photographs": self._shown(run)}

    def _shown(self, run: StoredRun) -> list[int]:
        return [index for index in self.indices if index in set(run.table["index"])]

    def draw(self, runs: list[StoredRun]) -> Drawing:
        runs = sorted(runs, key=sigma_of)
        dataset: LabelledDataset = Group.from_dict(runs[0].record["config"]["dataset"]).build()
        indices = self._shown(runs[0])
        shape = (len(indices), 1 + len(runs))
        side = min(WIDTH / shape[1], LARGEST)
        size = (side * shape[1], (side + 0.35) * shape[0] + 0.7)
        figure, axes = plt.subplots(*shape, squeeze=False, figsize=size)
        rows, wrong = [], False
        for line, index in zip(axes, indices, strict=True):
            x, label = dataset[index], dataset.label(index)
            show(line[0], x, _short(dataset.classes[label]))
            for axis, run in zip(line[1:], runs, strict=True):
                row = run.table.set_index("index").loc[index]
                certified, right = row["status"] == "certified", row["predict"] == label
                name = _short(dataset.classes[int(row["predict"])]) if row["predict"] != ABSTAIN else ""
                otherwise = {"abstained": "abstains"}.get(row["status"], row["status"])
                below = f"{name}\nradius {at_least(row['radius'])}" if certified else otherwise
                noisy = x + noise_of(sigma_of(run), x, run.record["seed"], index)
                color = "black" if right or not certified else "C3"
                wrong |= color != "black"
                show(axis, noisy, below, color=color)
                rows.append(
                    {"index": index, "sigma": sigma_of(run), "label": dataset.classes[label], "predicted": name}
                    | {"status": row["status"], "correct": bool(right and certified), "radius": float(row["radius"])}
                )
        axes[0][0].set_title("photograph")
        for axis, run in zip(axes[0][1:], runs, strict=True):
            axis.set_title(sigma_text(sigma_of(run)))
        head(
            figure,
            r"Certified classes of photographs and their $\ell_2$ radii",
            f"{CLIPPED}; {WRONG}" if wrong else CLIPPED,
        )
        return Drawing(figure, pd.DataFrame(rows), pd.DataFrame(), [])


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1].rstrip() + "…"
