"""Ours: photographs, the mask of the base function, and the smoothed mask with its certificate in words."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn import functional

from experiments.config.settings import Group
from experiments.data import Dataset
from experiments.machine.words import at_least
from experiments.report.figure import Drawing
from experiments.report.layout import WIDTH, head
from experiments.report.left_out import NO_DRAWS, another
from experiments.report.one_level import OneLevel
from experiments.report.photograph import show
from experiments.report.symbols import sigma_text
from experiments.runs.reader import StoredRun, sigma_of

OUTSIDE = 0.25  # brightness of a photograph outside the mask


class CertifiedMasks(OneLevel):
    """One row for each photograph of a run whose outputs are masks under `MaskJaccard`.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        rows: number of photographs to show.
    """

    def __init__(self, experiments: list[str], sigma: float, rows: int) -> None:
        super().__init__(experiments, sigma)
        self.rows = rows

    def why_not(self, run: StoredRun) -> str:
        return another(run, "metric", "MaskJaccard") or ("" if run.draws else NO_DRAWS)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = self.nearest(runs)
        dataset: Dataset = Group.from_dict(run.record["config"]["dataset"]).build()
        eps = float(run.table["eps_in"].min())
        examples = run.table[run.table["eps_in"] == eps].head(self.rows).to_dict("records")
        side = WIDTH / 3
        figure, axes = plt.subplots(len(examples), 3, squeeze=False, figsize=(WIDTH, side * len(examples) + 0.8))
        rows = []
        for line, example in zip(axes, examples, strict=True):
            index, draws = int(example["index"]), run.draws[int(example["index"])]
            x = dataset[index]
            show(line[0], x)
            show(line[1], _within(x, draws.base_output))
            certified = example["status"] == "certified"
            iou = 1 - float(example["eps_out"]) if certified else np.nan
            if example["status"] == "abstained":
                line[2].set(xticks=[], yticks=[])
                line[2].text(0.5, 0.5, "abstains", ha="center", transform=line[2].transAxes)
            else:
                show(line[2], _within(x, draws.center))
                line[2].set_xlabel(f"IoU at least {at_least(iou)}" if iou > 0 else "nothing certified")
            share = float(draws.center.mean())
            rows.append({"index": index, "eps_in": eps, "status": example["status"], "iou": iou, "share": share})
        for axis, title in zip(axes[0], ("photograph", "base mask", "smoothed mask"), strict=True):
            axis.set_title(title)
        head(
            figure,
            f"Masks of a person, {sigma_text(sigma_of(run))}",
            "below a mask: its certified overlap (IoU) with the smoothed mask of any photograph "
            rf"within the $\ell_2$ distance {eps:g}",
        )
        return Drawing(figure, pd.DataFrame(rows), pd.DataFrame(), [])


def _within(image: Tensor, mask: Tensor) -> Tensor:
    """The image, dark outside the mask. (3, H, W), (1, h, w) -> (3, H, W)."""
    inside = functional.interpolate(mask.float()[None], image.shape[1:], mode="nearest")[0]
    return image * (OUTSIDE + (1 - OUTSIDE) * inside)
