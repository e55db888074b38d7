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
    corners = np.array([(GAP, GAP), (-width - GAP, -height - GAP), (GAP, -height - GAP), (-width - GAP, GAP)])
    lows = (_anchors(own)[:, None] + corners).reshape(-1, 2)
    lows = lows[_free(lows, size, taken, inside)]
    lows = lows[_distances(own, lows, size) >= GAP / 2]
    clearance = np.minimum(_distances(others, lows, size), FAR)
    apart = np.min([_apart(lows, size, other) for other in taken] or [np.full(len(lows), FAR)], axis=0)
    score = np.where(clearance > GAP, clearance + 0.2 * np.minimum(apart, FAR), -np.inf)
    if not np.isfinite(score).any():
        return None
    return lows[score.argmax()], None


def _apart_from(own: Points, others: Points, taken: list[Points], size: Points, inside: Points) -> Place | None:
    """The free place, and the end of a line to the curve, that meet the fewest other curves and names.

    Of several, the nearest. The line ends where the curve is apart from the others. None if no place is free.
    """
    grids = [np.linspace(inside[k] + GAP, inside[k + 2] - size[k] - GAP, PLACES) for k in (0, 1)]
    lows = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 2)
    lows = lows[_free(lows, size, taken, inside)]
    lows = lows[_distances(np.concatenate([own, others]), lows, size) > GAP]
    ends = _anchors(own)[::5]
    alone = np.minimum(_distances(others, ends, np.zeros(2)), FAR)
    lengths = np.hypot(*(ends - (lows + size / 2)[:, None]).transpose(2, 0, 1)) - alone  # (places, ends)
    best, best_score = None, np.inf
    for k in lengths.argsort(axis=None, kind="stable"):
        low, end = lows[k // len(ends)], ends[k % len(ends)]
        if lengths.flat[k] >= best_score:
            break
        middle = low + size / 2
        line = middle + np.linspace(0, 0.9, LINE)[:, None] * (end - middle)
        named = ~_clear(line - GAP, np.full(2, 2 * GAP), taken)
        score = (_crossings(others, line) + named.sum()) * FAR + lengths.flat[k]
        if score < best_score:
            best, best_score = (low, end), score
    return best


def _crossings(points: Points, line: Points) -> int:
    """How many points of a straight line are the nearest ones of points at most GAP from it."""
    along = line[-1] - line[0]
    share = np.clip((points - line[0]) @ along / (along @ along), 0, 1)
    near = np.hypot(*(points - line[0] - share[:, None] * along).T) <= GAP
    return len(np.unique((share[near] * (len(line) - 1)).round()))


def _anchors(path: Points) -> Points:
    """Some points of a curve, beside which its name may be."""
    return path[np.unique(np.linspace(0, len(path) - 1, ANCHORS).astype(int))]


def _free(lows: Points, size: Points, taken: list[Points], inside: Points) -> NDArray[np.bool_]:
    """Which boxes are inside the axis and clear of the names that are placed. (n, 2) lower left corners -> (n,)."""
    fits = np.all((lows >= inside[:2]) & (lows + size <= inside[2:]), axis=1)
    return fits & _clear(lows, size, taken)


def _clear(lows: Points, size: Points, taken: list[Points]) -> NDArray[np.bool_]:
    """Which boxes are at least GAP from the names that are placed. (n, 2) -> (n,)."""
    clear = np.ones(len(lows), dtype=bool)
    for low, high in taken:
        clear &= ~np.all((lows < high + GAP) & (low - GAP < lows + size), axis=1)
    return clear


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


def _distances(points: Points, lows: Points, size: Points) -> Points:
    """The distance from each box to the nearest point; infinite if there is none. (n, 2) lower left corners -> (n,)."""
    if not len(points):
        return np.full(len(lows), np.inf)
    gaps = np.maximum(np.maximum(lows[:, None] - points, points - (lows + size)[:, None]), 0)
    return np.hypot(gaps[..., 0], gaps[..., 1]).min(axis=1)


def _apart(lows: Points, size: Points, other: Points) -> Points:
    """The distance of each box from a name. (n, 2) lower left corners -> (n,)."""
    gaps = np.maximum(np.maximum(lows - other[1], other[0] - (lows + size)), 0)
    return np.hypot(gaps[:, 0], gaps[:, 1])
