"""Draws medians: panels, styles, axes and a common legend."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.papers.kumar2021.medians import METRICS
from experiments.report.figure import legend_entries

STYLES = (("C1", "-", "o"), ("C0", "--", "s"), ("C2", "-.", "D"))  # distinguishable without color
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


def draw_medians(axis: Axes, curve: pd.DataFrame, style: tuple[str, object, str], label: str) -> None:
    """Draw eps_out with filled marks and smoothing error with hollow ones. Infinite medians are on the upper edge."""
    color, line, mark = style
    for column, thick, face, name in (
        ("eps_out", 1.4, color, "eps_out"),
        ("smoothing_error", 0.8, "none", "smoothing error"),
    ):
        given = {"ls": line, "lw": thick, "marker": mark, "mfc": face, "color": color, "label": f"{name}, {label}"}
        plot_medians(axis, curve["eps_in"], curve[column], given)


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


def legend(figure: MatplotlibFigure, table: pd.DataFrame) -> None:
    """One legend below all panels, with an entry for each label in any panel."""
    shown = legend_entries(figure)
    low, high = table["examples"].min(), table["examples"].max()
    title = f"examples: {low if low == high else f'{low} to {high}'}"
    if np.isinf(table[["eps_out", "smoothing_error"]]).any(axis=None):
        title += "\non the upper edge: infinite, because half of the examples or more have no certificate"
    columns = 2 if len(figure.axes) == 1 else 3
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns, title=title)
