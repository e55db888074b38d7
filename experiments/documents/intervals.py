"""Tables of certified intervals: boxes of faces, and a regression."""

import numpy as np

from experiments.documents.runs import at, by_sigma, markdown
from experiments.machine.words import at_least
from experiments.papers.others.median_boxes import least_iou
from experiments.runs.reader import StoredRun, median_with_abstentions
from smoothing.quantile_guarantee import bounds

SIGMA, EPS = 0.1, 0.1  # of the boxes


def median_boxes() -> str:
    """The least overlap (IoU) with the median box, and of two smoothed boxes, rounded down."""
    median = by_sigma("portraits_median", {})[SIGMA]
    center = 1 - at(by_sigma("portraits_jaccard", {})[SIGMA], EPS)["eps_out"]
    overlaps = [_overlap(median, index) for index in center.index]
    row = [str(EPS), ", ".join(map(at_least, overlaps)), ", ".join(map(at_least, center))]
    return markdown(["eps", "median smoothing: astronaut, Hopper, cameraman", "center smoothing"], [row])


def _overlap(run: StoredRun, index: int) -> float:
    row, draws = at(run, EPS).loc[index], run.draws[index]
    return least_iou(draws.base_output, *bounds(draws, (int(row["lower_rank"]), int(row["upper_rank"]))))


def regression() -> str:
    """Median widths of the intervals of the median, and of the mean with our band and the paper's."""
    columns = [
        by_sigma("diabetes_median", {}),
        *(by_sigma("diabetes_mean", {"certifier.bound": bound}) for bound in ("exact", "paper")),
    ]
    widths = {
        (sigma, eps): [_width(runs[sigma], eps) for runs in columns]
        for sigma in columns[0]
        for eps in columns[0][sigma].table["eps_in"].unique()
    }
    shown = ((0.2, 0.1), (0.2, 0.4), (0.5, 0.25), (0.5, 1.0))
    rows = [[f"{sigma}, {eps:g}", *(f"{width:.1f}" for width in widths[sigma, eps])] for sigma, eps in shown]
    narrowest = sum(median < min(others) for median, *others in widths.values())
    ratio = [ours / paper for _, ours, paper in widths.values()]
    return (
        f"{markdown(['sigma, eps', 'median', 'mean', 'mean, with the band of the paper'], rows)}\n"
        f"The median's interval is the narrowest at {narrowest} of {len(widths)} radii. Our interval of the mean is "
        f"{min(ratio):.2f} to {max(ratio):.2f} times as wide as with the paper's band.\n"
    )


def _width(run: StoredRun, eps: float) -> float:
    rows = at(run, eps)
    return median_with_abstentions(rows["width"].to_numpy(np.float64), (rows["status"] == "certified").to_numpy())
