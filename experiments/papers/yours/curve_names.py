"""The names of the curves of each panel: beside them, in one legend below all panels, or in one below each panel."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from experiments.report.direct_labels import SIZE, Curve, write_names
from experiments.report.symbols import SIGMA
from experiments.report.titles import wrapped

LONG = 26  # letters of a name that is too long to be written beside a curve
LETTERS = 12.5  # of a legend or title, per inch
ONE_LETTER = "\ue000"  # in place of a formula while its width counts; of no alphabet
HANDLE = 0.45  # inches of a legend for the line before a name
LINE, PADDING = 1.35 * SIZE / 72, 2.0 * SIZE / 72  # inches of a line of a legend, and around all of them
LEFT, TICKS, LABEL = 0.35, 0.24, 0.2  # inches beside and below a panel: for its numbers, and for the title of its axis


def name_panels(figure: Figure, panels: Sequence[tuple[Axes, list[Curve]]]) -> None:
    """Name the curves of all panels. The figure, complete apart from names, gets higher by the legends below panels."""
    figure.draw_without_rendering()  # places the axes
    left = [axis for axis, curves in panels if not _written_beside(axis, curves)]
    shared = _shared(left)
    width, height = figure.get_size_inches()
    if shared:
        names = [in_lines(name, width - HANDLE) for name in shared]
        lines = list(shared.values())
        figure.legend(lines, names, loc="outside lower center", fontsize=SIZE, handlelength=2.2)
        figure.set_size_inches(width, height + _height(names))
        return
    rows: dict[int, float] = {}
    for axis in left:
        row = axis.get_subplotspec().rowspan.start  # type: ignore[union-attr]
        rows[row] = max(rows.get(row, 0.0), _put_below(axis))
    figure.set_size_inches(width, height + sum(rows.values()))


def in_lines(text: str, inches: float) -> str:
    """A name or title in lines of at most this width. A setting and a number of examples stay whole."""
    whole = text.replace(" = ", "\xa0=\xa0").replace(" example", "\xa0example")
    return wrapped(whole.replace(SIGMA, ONE_LETTER), max(1, int(LETTERS * inches))).replace(ONE_LETTER, SIGMA)


def _written_beside(axis: Axes, curves: list[Curve]) -> bool:
    """Write the names beside the curves, if all are short and have room."""
    drawn = [curve for curve in curves if len(curve.x)]
    short = all(len(curve.name) <= LONG for curve in curves) and len(drawn) == len(curves)
    return short and write_names(axis, drawn)


def _shared(axes: Sequence[Axes]) -> dict[str, Artist]:
    """The line of each name, if each name has one look in all these panels, and no two have the same. Else empty."""
    found: dict[str, Artist] = {}
    looks = set()
    for axis in axes:
        for line, name in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(name, line)
            looks.add((name, *_look(line)))
    same = len(looks) == len(found) == len({look[1:] for look in looks})
    return found if same else {}


def _look(line: Artist) -> tuple[str, ...]:
    return (str(line.get_color()), str(line.get_linestyle())) if isinstance(line, Line2D) else ()


def _put_below(axis: Axes) -> float:
    """Put a legend below a panel. Returns its height in inches."""
    lines, names = axis.get_legend_handles_labels()
    inches = axis.get_window_extent().width / axis.figure.dpi
    below = [in_lines(name, inches + LEFT - HANDLE) for name in names]
    drop = TICKS + (LABEL if axis.get_xlabel() else 0.0)
    place = axis.transAxes + ScaledTranslation(-LEFT, -drop, axis.figure.dpi_scale_trans)
    axis.legend(
        lines, below, loc="upper left", fontsize=SIZE, handlelength=2.2, bbox_to_anchor=(0, 0), bbox_transform=place
    )
    return _height(below)


def _height(texts: list[str]) -> float:
    """Inches of a legend."""
    return LINE * sum(text.count("\n") + 1 for text in texts) + PADDING
