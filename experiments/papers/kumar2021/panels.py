"""Draws medians: panels, styles, axes and a common legend."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.papers.kumar2021.certificates import OURS, PAPERS
from experiments.papers.kumar2021.medians import METRICS
from experiments.report.figure import legend_entries

STYLES = (("C1", "-", "o"), ("C0", "--", "s"), ("C2", "-.", "D"))  # distinguishable without color
THICK = {"eps_out": (1.4, 4.0), "smoothing_error": (0.7, 2.0)}  # line width and size of the marks
RING = 2.5  # points by which the paper's marks are larger
WHOSE = {PAPERS: PAPERS, OURS: f"{OURS} {PAPERS} (ours)"}
WIDE = 6  # inches
FEW_TICKS = 30  # a logarithmic axis with a smaller ratio also has labels between powers of ten


def panel_axes(count: int) -> tuple[MatplotlibFigure, list[Axes]]:
    """A figure with `count` panels, at most two per row."""
    columns = min(2, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=(4.4 if count == 1 else 7.0, 0.9 + 2.1 * rows))
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])


def label_left(axes: list[Axes], metric: str) -> None:
    """Label the y axis of the first panel in each row with the distance."""
    for axis in axes[::2]:
        axis.set_ylabel(f"median {METRICS.get(metric, metric)}")


def draw_medians(axis: Axes, series: pd.DataFrame, color: str, mark: str) -> None:
    """Draw eps_out with thick lines and smoothing error with thin ones: a line of each for each certificate."""
    for certificate, curve in series.groupby("certificate", sort=False):
        for column in THICK:
            style = style_of(str(certificate), column) | {"marker": mark, "color": color}
            plot_medians(axis, curve["eps_in"], curve[column], style)


def style_of(certificate: str, column: str = "eps_out") -> dict[str, Any]:
    """The style of a certificate's line of medians. The paper's marks are rings, in which ours remain visible."""
    thick, size = THICK[column]
    if certificate == OURS:
        return {"ls": "-", "lw": thick, "ms": size}
    return {"ls": "--", "lw": thick, "ms": size + RING, "mfc": "white"}


def plot_medians(axis: Axes, eps_in: "pd.Series[float]", medians: "pd.Series[float]", style: dict[str, Any]) -> None:
    """Draw medians in a style of matplotlib's `plot`. Infinite ones are on the upper edge."""
    finite = np.isfinite(medians)
    axis.plot(eps_in, medians.where(finite), **style)
    if not finite.all():
        edge = {"ls": "none", "transform": axis.get_xaxis_transform(), "clip_on": False, "label": None}
        axis.plot(eps_in[~finite], np.ones(int((~finite).sum())), **(style | edge))


def finish(axis: Axes, table: pd.DataFrame) -> None:
    """Set the limits. The axis of distances is logarithmic unless one of them is zero."""
    axis.set_xlim(0, 1.05 * table["eps_in"].max())
    if (table[["eps_out", "smoothing_error"]] > 0).all(axis=None):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        bottom, top = axis.get_ylim()
        axis.yaxis.set_minor_formatter("{x:g}" if top < FEW_TICKS * bottom else NullFormatter())
        axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    else:
        axis.set_ylim(bottom=0)


def legend(
    figure: MatplotlibFigure,
    table: pd.DataFrame,
    series: Mapping[str, tuple[str, str]] | None = None,
    edge: str = "infinite, because half of the examples or more have no certificate",
) -> None:
    """One legend below all panels: an entry for each label in any panel, and what the lines and marks mean.

    Args:
        figure: the figure.
        table: its medians.
        series: color and mark of each series that `draw_medians` drew. None if it drew nothing.
        edge: what marks on the upper edge are, if there are any.
    """
    shown = {} if series is None else _meanings(table, series)
    shown |= legend_entries(figure)
    low, high = table["examples"].min(), table["examples"].max()
    shares = abstained(table)
    title = f"examples: {low if low == high else f'{low} to {high}'}; abstained: "
    title += ", ".join(f"{name} {shares[name]}" for name in WHOSE if name in shares)
    if np.isinf(table[["eps_out", "smoothing_error"]]).any(axis=None):
        title += f"; on the upper edge: {edge}"
    narrow = figure.get_size_inches()[0] < WIDE
    columns = 2 if narrow else min(4, -(-len(shown) // 2))
    title = fill(title, 60 if narrow else 100)
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns, title=title)


def abstained(table: pd.DataFrame, by: str = "certificate") -> dict[str, str]:
    """The share of the examples without an answer at the least and at the most, by certificate or another column."""
    shares = table.groupby(by, sort=False)["abstained"]
    ends = {str(name): dict.fromkeys(f"{share:.0%}" for share in (of.min(), of.max())) for name, of in shares}
    return {name: " to ".join(texts) for name, texts in ends.items()}


def _meanings(table: pd.DataFrame, series: Mapping[str, tuple[str, str]]) -> dict[str, Line2D]:
    """Legend entries for series, certificates and quantities."""
    grey: dict[str, Any] = {"color": "0.3"}
    found = {name: Line2D([], [], ls="none", marker=mark, color=color) for name, (color, mark) in series.items()}
    for certificate, text in WHOSE.items():
        if (table["certificate"] == certificate).any():
            found[text] = Line2D([], [], **(style_of(certificate) | grey | {"marker": "o"}))
    for (width, _), name in zip(THICK.values(), ("thick: eps_out", "thin: smoothing error"), strict=True):
        found[name] = Line2D([], [], lw=width, **grey)
    return found
