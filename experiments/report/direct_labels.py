"""Writes the name of each curve beside it, where there is room. A reader need not look up colors in a legend."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2), in pixels
Place = tuple[Points, Points | None]  # a name's lower left corner, and the end of the line to its curve
GAP, FAR = 3.0, 40.0  # pixels between a name and its curve; distance to other curves beyond which more is no better
ANCHORS = 50  # points of a curve at which places are tried
PLACES, LINE = 20, 40  # places in each direction where a name may be apart from its curve; points of the line to it
SIZE = 9


@dataclass(frozen=True)
class Curve:
    """A drawn curve and its name.

    Attributes:
        x: (n,), in the axis' units.
        y: (n,). Only its finite points count.
        name: its name.
        color: the color of both.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    name: str
    color: Any


def name_curves(figure: Figure, named: Iterable[tuple[Axes, Sequence[Curve]]]) -> None:
    """Write names beside the curves of each axis. If they have no room there, they are in a legend of the axis.

    The figure must be complete apart from names.
    """
    figure.draw_without_rendering()  # places the axes
    for axis, curves in named:
        drawn = [curve for curve in curves if len(_corners(axis, curve))]
        if not write_names(axis, drawn):
            axis.legend(loc="best", handlelength=2.2).set(in_layout=False)


def write_names(axis: Axes, curves: list[Curve]) -> bool:
    """Write all names into the axis, clear of all curves and of each other.

    Each name stands beside its own curve. If it has no room there, it stands where there is room, with a line to the
    curve. The axis must be placed, by `draw_without_rendering`, and its limits final. Returns False, and writes none,
    if a name has no room anywhere.
    """
    inside = np.array(axis.get_window_extent().extents)
    paths = [_dense(axis, curve) for curve in curves]
    sizes = [_size(axis, curve.name) for curve in curves]
    places, ends, taken = dict[int, Points](), dict[int, Points | None](), list[Points]()
    for find in (_beside, _apart_from):
        for k in [k for k in range(len(curves)) if k not in places]:
            others = np.concatenate([np.empty((0, 2)), *(path for j, path in enumerate(paths) if j != k)])
            found = find(paths[k], others, taken, sizes[k], inside)
            if found is not None:
                places[k], ends[k] = found
                taken.append(np.array([places[k], places[k] + sizes[k]]))
    if len(places) < len(curves):
        return False
    for k, curve in enumerate(curves):
        _write(axis, curve, places[k], ends[k])
    return True


def _size(axis: Axes, name: str) -> Points:
    """Width and height of a name."""
    text = axis.text(0, 0, name, fontsize=SIZE)
    extent = text.get_window_extent()
    text.remove()
    return np.array([extent.width, extent.height])


def _write(axis: Axes, curve: Curve, place: Points, end: Points | None) -> None:
    """Write a name at its lower left corner, with a line to a point of its curve unless `end` is None."""
    corner, led = axis.transAxes.inverted().transform([place, place if end is None else end]).tolist()
    style: dict[str, Any] = {"xycoords": "axes fraction", "color": curve.color, "fontsize": SIZE, "va": "bottom"}
    if end is not None:
        style["arrowprops"] = {"arrowstyle": "-", "color": curve.color, "lw": 0.6, "shrinkA": 0, "shrinkB": 1}
    axis.annotate(curve.name, led, corner, **style).set_in_layout(False)


def _beside(own: Points, others: Points, taken: list[Points], size: Points, inside: Points) -> Place | None:
    """The free place beside a curve that is farthest from the others; None if none is free."""
    width, height = size
    corners = [(GAP, GAP), (-width - GAP, -height - GAP), (GAP, -height - GAP), (-width - GAP, GAP)]
    best, best_score = None, -np.inf
    for low in (anchor + corner for anchor in _anchors(own) for corner in corners):
        high = low + size
        if not _free(low, high, taken, inside) or _distance(own, low, high) < GAP / 2:
            continue
        clearance = min(_distance(others, low, high), FAR)
        score = clearance + min(0.2 * min((_apart(low, high, other) for other in taken), default=FAR), 0.2 * FAR)
        if clearance > GAP and score > best_score + 1e-9:
            best, best_score = (low, None), score
    return best


def _apart_from(own: Points, others: Points, taken: list[Points], size: Points, inside: Points) -> Place | None:
    """The free place from which a line to the curve meets the fewest other curves and names.

    Of several, a near one. The line ends where the curve is apart from the others. None if no place is free.
    """
    anchors, every = _anchors(own), np.concatenate([own, others])
    alone = np.array([min(_distance(others, at, at), FAR) for at in anchors])
    best, best_score = None, np.inf
    for x in np.linspace(inside[0] + GAP, inside[2] - size[0] - GAP, PLACES):
        for y in np.linspace(inside[1] + GAP, inside[3] - size[1] - GAP, PLACES):
            low, high = np.array([x, y]), np.array([x, y]) + size
            middle = low + size / 2
            lengths = np.hypot(*(anchors - middle).T) - alone
            if lengths.min() >= best_score or not _free(low, high, taken, inside):
                continue
            if _distance(every, low, high) <= GAP:
                continue
            end = anchors[np.argmin(lengths)]
            line = middle + np.linspace(0, 0.9, LINE)[:, None] * (end - middle)
            boxes = [(point - GAP, point + GAP) for point in line]
            met = sum(_distance(others, *box) == 0 or any(_overlap(*box, other) for other in taken) for box in boxes)
            score = met * FAR + float(lengths.min())
            if score < best_score - 1e-9:
                best, best_score = (low, end), score
    return best


def _anchors(path: Points) -> Points:
    """Some points of a curve, beside which its name may be."""
    return path[np.unique(np.linspace(0, len(path) - 1, ANCHORS).astype(int))]


def _free(low: Points, high: Points, taken: list[Points], inside: Points) -> bool:
    """Whether a box is inside the axis and clear of the names that are placed."""
    fits = bool(np.all(low >= inside[:2]) and np.all(high <= inside[2:]))
    return fits and not any(_overlap(low, high, other) for other in taken)


def _corners(axis: Axes, curve: Curve) -> Points:
    """The curve's finite points in pixels."""
    places = axis.transData.transform(np.column_stack([curve.x, curve.y]))
    return places[np.isfinite(places).all(axis=1)]


def _dense(axis: Axes, curve: Curve) -> Points:
    """The curve's points in pixels, with more between them, at most two pixels apart."""
    corners = _corners(axis, curve)
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
