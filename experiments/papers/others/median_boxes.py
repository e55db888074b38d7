"""Photographs with the box of the base detector, and the certified boxes around and inside the median box."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from experiments.config.settings import Group
from experiments.data import Dataset
from experiments.machine.words import at_least
from experiments.report.figure import LINES, Drawing
from experiments.report.layout import WIDTH, head
from experiments.report.left_out import NO_DRAWS, another
from experiments.report.one_level import OneLevel
from experiments.report.photograph import show
from experiments.report.symbols import sigma_text
from experiments.runs.reader import StoredRun, sigma_of
from smoothing.quantile_guarantee import QuantileDraws, bounds

BOXES = (
    ("base detector", "C2", LINES[0]),
    ("contains the median box", "C0", LINES[1]),
    ("inside the median box", "C1", LINES[2]),
)
Box = NDArray[np.float64]  # x1, y1, x2, y2


class MedianBoxes(OneLevel):
    """One panel for each photograph of a run of `MedianSmoothing` whose outputs are boxes.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        eps: the input radius of the certificates; the nearest one is taken.
    """

    def __init__(self, experiments: list[str], sigma: float, eps: float) -> None:
        super().__init__(experiments, sigma)
        self.eps = eps

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "certifier", "MedianSmoothing") or another(run, "model", "FaceDetector")
        return kind or ("" if set(run.draws) == set(run.table["index"]) else NO_DRAWS)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = self.nearest(runs)
        dataset: Dataset = Group.from_dict(run.record["config"]["dataset"]).build()
        found = run.table["eps_in"]
        eps = float(found.iloc[(found - self.eps).abs().argmin()])
        examples = run.table[found == eps].to_dict("records")
        side = WIDTH / len(examples)
        figure, axes = plt.subplots(1, len(examples), squeeze=False, figsize=(WIDTH, 1.25 * side + 1.1))
        rows = []
        for axis, example in zip(axes[0], examples, strict=True):
            index, certified = int(example["index"]), example["status"] == "certified"
            draws: QuantileDraws = run.draws[index]
            show(axis, dataset[index])
            base = draws.base_output
            _frame(axis, base, 0)
            row = {"index": index, "eps_in": eps, "status": example["status"], "not_finite": example["not_finite"]}
            iou = np.nan
            if certified:
                lower, upper = bounds(draws, (int(example["lower_rank"]), int(example["upper_rank"])))
                _frame(axis, np.concatenate([lower[:2], upper[2:]]), 1)
                _frame(axis, np.concatenate([upper[:2], lower[2:]]), 2)
                iou = least_iou(base, lower, upper)
            missed = f"no face in {example['not_finite']:.0%}"
            axis.set_xlabel(f"IoU at least {at_least(iou)}" if certified else f"not certified:\n{missed}")
            rows.append(row | {"width": float(example["width"]), "iou": iou})
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=1.6, columnspacing=1)
        head(
            figure,
            f"Certified boxes of a face, {sigma_text(sigma_of(run))}",
            rf"for every photograph within the $\ell_2$ distance {eps:g}; below: the least overlap (IoU) of the base "
            "detector's box with the median box",
        )
        return Drawing(figure, pd.DataFrame(rows), pd.DataFrame(), [])


def least_iou(box: Box, lower: Box, upper: Box) -> float:
    """The least intersection over union of a box with the boxes whose coordinates lie between the bounds.

    Moving one coordinate away from the box's own never increases the overlap: with I the intersection, A + A' - I the
    union, and h' >= h the sides at right angles, the change is -h (A + A' - I) + I (h' - h) <= 0, up to a positive
    factor, because I (h' - h) = w h (h' - h) and A' >= w h'. So the least overlap is at a corner of the bounds.

    Args:
        box: x1, y1, x2, y2, not empty.
        lower: of each coordinate, (4,).
        upper: of each coordinate, (4,).
    """
    return min(_iou(box, np.where(choice, upper, lower)) for choice in product((False, True), repeat=4))


def _iou(a: Box, b: Box) -> float:
    def area(low: Box, high: Box) -> float:
        return float(np.clip(high - low, 0, None).prod())

    both = area(np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:]))
    return both / max(area(a[:2], a[2:]) + area(b[:2], b[2:]) - both, 1e-300)


def _frame(axis: Axes, box: Box, k: int) -> None:
    """Draw a box. An empty one, whose sides have crossed, is left out."""
    name, color, style = BOXES[k]
    width, height = box[2:] - box[:2]
    if width > 0 and height > 0:
        axis.add_patch(Rectangle((box[0], box[1]), width, height, fill=False, ec=color, ls=style, lw=1.6, label=name))
