"""Photographs, the mask of the base function, and the cells whose class is certified."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from experiments.config.settings import Group
from experiments.data import Dataset
from experiments.report.figure import Drawing
from experiments.report.layout import WIDTH, head
from experiments.report.left_out import NO_DRAWS, another
from experiments.report.one_level import OneLevel
from experiments.report.photograph import show
from experiments.report.symbols import sigma_text
from experiments.runs.reader import StoredRun, sigma_of
from smoothing import ABSTAIN, Gaussian
from smoothing.segment_guarantee import segment_certificate

BRIGHTNESS = {1: 1.0, 0: 0.25}  # of a cell with this class
ABSTAINS = torch.tensor([0.1, 0.75, 0.85])[:, None, None]  # light blue


class CertifiedCells(OneLevel):
    """One row for each photograph of a run of `SegmentSmoothing` with two classes, one column for each input radius.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        rows: number of photographs to show.
    """

    def __init__(self, experiments: list[str], sigma: float, rows: int) -> None:
        super().__init__(experiments, sigma)
        self.rows = rows

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "certifier", "SegmentSmoothing") or another(run, "noise", "Gaussian")
        return kind or ("" if set(run.draws) == set(run.table["index"]) else NO_DRAWS)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = self.nearest(runs)
        dataset: Dataset = Group.from_dict(run.record["config"]["dataset"]).build()
        radii = sorted(run.table["eps_in"].unique())
        indices = list(dict.fromkeys(run.table["index"]))[: self.rows]
        noise = Gaussian(sigma_of(run), grid=run.identity.get("grid"))
        side = WIDTH / (1 + len(radii))
        figure, axes = plt.subplots(
            len(indices), 1 + len(radii), squeeze=False, figsize=(WIDTH, side * len(indices) + 0.8)
        )
        rows = []
        for line, index in zip(axes, indices, strict=True):
            x, draws = dataset[int(index)], run.draws[int(index)]
            show(line[0], x)
            for axis, eps in zip(line[1:], radii, strict=True):
                found = segment_certificate(draws, float(eps), noise, float(run.identity["certifier"]["alpha"]))
                classes = found.classes[-1] if found.classes.ndim > 2 else found.classes
                show(axis, _colored(x, classes), f"certified: {found.certified:.1%}")
                person = float((found.classes == 1).mean())
                rows.append({"index": int(index), "eps_in": eps, "certified": found.certified, "person": person})
        axes[0][0].set_title("photograph")
        for axis, eps in zip(axes[0][1:], radii, strict=True):
            axis.set_title(rf"$\ell_2$ radius {eps:g}")
        head(
            figure,
            f"Certified cells of masks of a person, {sigma_text(sigma_of(run))}",
            "bright: certified as person; dark: certified as background; light blue: abstains",
        )
        return Drawing(figure, pd.DataFrame(rows), pd.DataFrame(), [])


def _colored(image: Tensor, classes: NDArray[np.int64]) -> Tensor:
    """The image, dark where the class is 0 and light blue without one. (3, H, W), (h, w) -> (3, H, W)."""
    cells = torch.from_numpy(classes).float()[None, None]
    of_pixel = functional.interpolate(cells, image.shape[1:], mode="nearest")[0]
    brightness = torch.where(of_pixel == 1, BRIGHTNESS[1], BRIGHTNESS[0])
    return torch.where(of_pixel == ABSTAIN, ABSTAINS, image * brightness)
