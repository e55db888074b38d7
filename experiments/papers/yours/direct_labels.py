"""Writes the name of each curve beside it, where there is room. A reader need not look up colors in a legend."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2), in pixels
GAP, FAR = 3.0, 40.0  # pixels between a name and its curve; distance to other curves beyond which more is no better
ANCHORS = 50  # points of a curve beside which its name may be
SIZE = 7


@dataclass(frozen=True)
class Curve:
    """A drawn curve and its name.

    Attributes:
        x: (n,), in the axis' units.
        y: (n,), finite.
        name: its name.
        color: the color of both.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    name: str
    color: str


def write_names(axis: Axes, curves: list[Curve]) -> bool:
    """Write all names into the axis, each beside its own curve, clear of all curves and of each other.

    The axis' limits must be final. Returns False, and writes none, if a name has no room.
    """
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # places the axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    inside = axis.get_window_extent(renderer)
    paths = [_dense(axis, curve) for curve in curves]
    written, taken = [], list[Points]()
    for k, curve in enumerate(curves):
        text = axis.text(0, 0, curve.name, color=curve.color, fontsize=SIZE, ha="left", va="bottom")
        text.set_in_layout(False)
        written.append(text)
        extent = text.get_window_extent(renderer)
        others = [path for j, path in enumerate(paths) if j != k]
        place = _best_place(paths[k], others, taken, (extent.width, extent.height), np.array(inside.extents))
        if place is None:
            for each in written:
                each.remove()
            return False
        taken.append(np.array([place, place + np.array([extent.width, extent.height])]))
        text.set_transform(axis.transAxes)
        x, y = axis.transAxes.inverted().transform(place)
        text.set_position((float(x), float(y)))
    return True


def _best_place(
    own: Points, others: list[Points], taken: list[Points], size: tuple[float, float], inside: Points
) -> Points | None:
    """The lower left corner of the free place beside a curve that is farthest from the others; None if none is free."""
    width, height = size
    anchors = own[np.unique(np.linspace(0, len(own) - 1, ANCHORS).astype(int))]
    corners = [(GAP, GAP), (-width - GAP, -height - GAP), (GAP, -height - GAP), (-width - GAP, GAP)]
    foreign = np.concatenate(others) if others else np.empty((0, 2))
    best, best_score = None, -np.inf
    for place in (anchor + corner for anchor in anchors for corner in corners):
        low, high = place, place + size
        outside = low[0] < inside[0] or low[1] < inside[1] or high[0] > inside[2] or high[1] > inside[3]
        if outside or any(_overlap(low, high, other) for other in taken) or _distance(own, low, high) < GAP / 2:
            continue
        clearance = min(_distance(foreign, low, high), FAR)
        score = clearance + min(0.2 * min((_apart(low, high, other) for other in taken), default=FAR), 0.2 * FAR)
        if clearance > GAP and score > best_score + 1e-9:
            best, best_score = place, score
    return best


def _dense(axis: Axes, curve: Curve) -> Points:
    """The curve's points in pixels, with more between them, at most two pixels apart."""
    corners = axis.transData.transform(np.column_stack([curve.x, curve.y]))
    parts = [corners[:1]]
    for start, end in pairwise(corners):
        count = int(np.ceil(np.abs(end - start).max() / 2))
        parts.append(start + (end - start) * (np.arange(1, count + 1) / max(count, 1))[:, None])
    return np.concatenate(parts)


def _distance(points: Points, low: Points, high: Points) -> float:
    """The distance from a box to the nearest point; infinite if there is none."""
    if not len(points):
        return np.inf
    return float(np.hypot(*np.maximum(np.maximum(low - points, points - high), 0).T).min())


def _apart(low: Points, high: Points, other: Points) -> float:
    """The distance between two boxes."""
    return float(np.hypot(*np.maximum(np.maximum(low - other[1], other[0] - high), 0)))


def _overlap(low: Points, high: Points, other: Points) -> bool:
    return bool(np.all(low < other[1] + GAP) and np.all(other[0] - GAP < high))
