"""The names of the curves of each panel: beside them, in a legend above them, or in one below the panel."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from experiments.report.direct_labels import SIZE, Curve, write_names
from experiments.report.titles import wrapped

LONG = 26  # letters of a name that is too long to be written beside a curve
LETTERS = 12.5  # of a legend or title, per inch
HANDLE = 0.45  # inches of a legend for the line before a name
LINE, PADDING = 1.35 * SIZE / 72, 2.0 * SIZE / 72  # inches of a line of a legend, and around all of them
MOST = 0.45  # of a panel's height for a legend; a larger one is below the panel
LEFT, TICKS, LABEL = 0.35, 0.24, 0.2  # inches beside and below a panel: for its numbers, and for the title of its axis


def name_panels(figure: Figure, panels: Sequence[tuple[Axes, list[Curve]]]) -> None:
    """Name the curves of all panels. The figure, complete apart from names, gets higher by the legends below panels."""
    figure.draw_without_rendering()  # places the axes
    rows: dict[int, float] = {}
    for axis, curves in panels:
        row = axis.get_subplotspec().rowspan.start  # type: ignore[union-attr]
        rows[row] = max(rows.get(row, 0.0), _name(axis, curves))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + sum(rows.values()))


def _name(axis: Axes, curves: list[Curve]) -> float:
    """Name the curves of a panel. Returns the height of the legend below it, in inches; 0 if there is none."""
    drawn = [curve for curve in curves if len(curve.x)]
    short = all(len(curve.name) <= LONG for curve in curves) and len(drawn) == len(curves)
    if short and write_names(axis, drawn):
        return 0.0
    size = axis.get_window_extent()
    dpi = axis.figure.dpi
    lines, names = axis.get_legend_handles_labels()
    inside, below = (
        [wrapped(name, max(1, int(LETTERS * (size.width / dpi + more - HANDLE)))) for name in names]
        for more in (0.0, LEFT)
    )
    share = _height(inside) / (size.height / dpi)
    if share <= MOST:
        _make_room(axis, share)
        axis.legend(lines, inside, loc="upper left", fontsize=SIZE, handlelength=2.2).set(in_layout=False)
        return 0.0
    drop = TICKS + (LABEL if axis.get_xlabel() else 0.0)
    place = axis.transAxes + ScaledTranslation(-LEFT, -drop, axis.figure.dpi_scale_trans)
    axis.legend(
        lines, below, loc="upper left", fontsize=SIZE, handlelength=2.2, bbox_to_anchor=(0, 0), bbox_transform=place
    )
    return _height(below)


def _height(texts: list[str]) -> float:
    """Inches of a legend."""
    return LINE * sum(text.count("\n") + 1 for text in texts) + PADDING


def _make_room(axis: Axes, share: float) -> None:
    """Raise the upper limit, so that a legend of this share of the height covers no curve. Ticks stay below it."""
    bottom, top = axis.get_ylim()
    ticks = [tick for tick in axis.get_yticks() if bottom <= tick <= top]
    transform = axis.transScale.transform
    low, high = (float(transform((0, y))[1]) for y in (bottom, top))
    raised = axis.transScale.inverted().transform((0, low + (high - low) / (1 - share)))[1]
    axis.set(ylim=(bottom, raised), yticks=ticks)
