"""How medians are drawn: panels, styles, axes and one legend for all of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.papers.kumar2021.medians import METRICS
from experiments.report.figure import legend_entries

STYLES = (("C1", "-", "o"), ("C0", "--", "s"), ("C2", "-.", "D"))  # told apart without color
FEW_TICKS = 30  # a logarithmic axis that spans less is labelled between powers of ten, too


def panel_axes(count: int) -> tuple[MatplotlibFigure, list[Axes]]:
    """A figure of so many panels, at most two in a row."""
    columns = min(2, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=(4.4 if count == 1 else 7.0, 0.9 + 2.1 * rows))
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])


def label_left(axes: list[Axes], metric: str) -> None:
    """Name the distance beside the first panel of each row."""
    for axis in axes[::2]:
        axis.set_ylabel(f"median {METRICS.get(metric, metric)}")


def draw_medians(axis: Axes, curve: pd.DataFrame, style: tuple[str, object, str], label: str) -> None:
    """eps_out with full marks, smoothing error thin with hollow ones, infinite medians of either on the upper edge."""
    color, line, mark = style
    for column, thick, face, name in (
        ("eps_out", 1.4, color, "eps_out"),
        ("smoothing_error", 0.8, "none", "smoothing error"),
    ):
        finite = np.isfinite(curve[column])
        drawn = curve[column].where(finite)
        axis.plot(
            curve["eps_in"], drawn, ls=line, lw=thick, marker=mark, mfc=face, color=color, label=f"{name}, {label}"
        )
        if not finite.all():
            at, edge = curve["eps_in"][~finite], axis.get_xaxis_transform()
            axis.plot(at, np.ones(len(at)), mark, mfc=face, color=color, transform=edge, clip_on=False)


def finish(axis: Axes, table: pd.DataFrame) -> None:
    """Limits; a logarithmic axis of distances wherever there is no zero among them."""
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
    """One legend below all panels, a line for each label that any panel has."""
    shown = legend_entries(figure)
    low, high = table["examples"].min(), table["examples"].max()
    title = f"examples: {low if low == high else f'{low} to {high}'}"
    if np.isinf(table[["eps_out", "smoothing_error"]]).any(axis=None):
        title += "\non the upper edge: infinite, half of the examples or more without certificate"
    columns = 2 if len(figure.axes) == 1 else 3
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns, title=title)
