"""Draws medians against the input radius: the styles of curves, levels to compare them with, and headings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.papers.kumar2021.certificates import OURS, PAPERS
from experiments.papers.kumar2021.medians import METRICS
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.layout import head, panels
from experiments.report.symbols import OUT, with_symbols
from experiments.report.titles import data_title, examples_text
from experiments.runs.reader import StoredRun

QUANTITIES = {"eps_out": f"median {OUT}", "smoothing_error": "median\nsmoothing error"}
COLORS, MARKS = ("C1", "C0", "C2"), ("o", "s", "D")  # of curves; marks are distinguishable without color
OF_CERTIFICATE = {PAPERS: "C1", OURS: "C0"}  # colors if a figure has both
OF_MARKS = {PAPERS: ("^", "C3"), OURS: ("v", "C2")}
SHORT = {PAPERS: "center", OURS: "balanced"}
UPPER_EDGE = "half of the examples or more have no certificate"
MOST = len(MARKS)  # curves of a certificate in a panel


def styled(table: pd.DataFrame) -> pd.DataFrame:
    """A table of medians with new columns name, color and mark, for its columns curve and certificate."""
    curves, both = list(table["curve"].unique()), table["certificate"].nunique() > 1
    names, colors, marks = [], [], []
    for curve, certificate in zip(table["curve"], table["certificate"], strict=True):
        place = curves.index(curve)
        words = [SHORT[certificate] if both else "", with_symbols(curve) if len(curves) > 1 else ""]
        names.append(", ".join(filter(None, words)) or certificate)
        colors.append(OF_CERTIFICATE[certificate] if both else COLORS[place])
        marks.append(MARKS[place])
    return table.assign(name=names, color=colors, mark=marks)


def draw_rows(
    table: pd.DataFrame,
    xlabels: Mapping[str, str],
    levels: Mapping[str, Mapping[str, float]],
    claimed: str,
    heading: tuple[str, str],
    extra: Mapping[str, str],
) -> Figure:
    """Draw a row for each panel of a `styled` table: eps_out on the left, the smoothing error on the right.

    Curves have their names on the left, and the same styles on the right. The level of a claim is drawn; others are
    written above the row.

    Args:
        table: the medians, with a column panel.
        xlabels: the label of the input radius, by panel.
        levels: distances to compare eps_out with, by panel and name.
        claimed: the name of the level that a claim is about. Empty if there is none.
        heading: title, and what a reader must know.
        extra: columns to draw beside eps_out as marks, and what they are.
    """
    figure, axes = panels(len(xlabels) * len(QUANTITIES), sharey="row")
    drawn = []
    for (title, xlabel), left, right in zip(xlabels.items(), axes[::2], axes[1::2], strict=True):
        here = table[table["panel"] == title]
        marks = [curve for column, name in extra.items() for curve in draw_marks(left, here, column, name)]
        draw_medians(right, here, "smoothing_error")
        texts = {name: f"{name}: {float(f'{value:.4g}'):,g}" for name, value in levels[title].items()}
        lines = limits(
            left, here, [*QUANTITIES, *extra], {texts[name]: levels[title][name] for name in texts if name == claimed}
        )
        drawn.append([*draw_medians(left, here, "eps_out"), *marks, *lines])
        left.set_title(data_title(title), loc="left")
        right.set_title("\n".join(text for name, text in texts.items() if name != claimed), loc="right", color="0.4")
        right.xaxis.set_major_formatter("{x:g}")
        for axis, ylabel in zip((left, right), QUANTITIES.values(), strict=True):
            axis.set(xlabel=xlabel, ylabel=ylabel, xlim=left.get_xlim())
    head(figure, *heading)
    name_curves(figure, zip(axes[::2], drawn, strict=True))
    return figure


def draw_medians(axis: Axes, table: pd.DataFrame, column: str) -> list[Curve]:
    """Draw a column of a `styled` table, one curve for each name: dashed with rings for the paper's certificate."""
    drawn = []
    for name, rows in table.groupby("name", sort=False):
        ours, color = rows["certificate"].iloc[0] == OURS, rows["color"].iloc[0]
        style = {"color": color, "marker": rows["mark"].iloc[0], "ls": "-" if ours else "--", "label": name}
        plot_medians(axis, rows["eps_in"], rows[column], style if ours else style | {"mfc": "white", "ms": 5})
        drawn.append(Curve(rows["eps_in"].to_numpy(), rows[column].to_numpy(), str(name), color))
    return drawn


def draw_marks(axis: Axes, table: pd.DataFrame, column: str, name: str) -> list[Curve]:
    """Draw a column of a `styled` table as marks without a line, one kind for each certificate."""
    drawn, several = [], table["certificate"].nunique() > 1
    for certificate, rows in table.groupby("certificate", sort=False):
        mark, color = OF_MARKS[str(certificate)]
        text = f"{name}, {SHORT[str(certificate)]}" if several else name
        axis.plot(rows["eps_in"], rows[column], mark, mfc="none", color=color, label=text)
        drawn.append(Curve(rows["eps_in"].to_numpy(), rows[column].to_numpy(), text, color))
    return drawn


def plot_medians(axis: Axes, x: "pd.Series[float]", medians: "pd.Series[float]", style: dict[str, Any]) -> None:
    """Draw medians in a style of matplotlib's `plot`. Infinite ones are on the upper edge."""
    finite = np.isfinite(medians)
    axis.plot(x, medians.where(finite), **style)
    if not finite.all():
        edge = {"ls": "none", "transform": axis.get_xaxis_transform(), "clip_on": False, "label": None}
        axis.plot(x[~finite], np.ones(int((~finite).sum())), **(style | edge))


def limits(axis: Axes, table: pd.DataFrame, columns: Sequence[str], levels: Mapping[str, float]) -> list[Curve]:
    """Set the limits of an axis, from 0, and draw levels: horizontal lines with their names. Returns the lines."""
    most, right = largest_of(table, columns), 1.05 * float(table["eps_in"].max())
    for value in levels.values():
        axis.axhline(value, color="0.4", lw=1, ls=":")
    axis.set(xlim=(0, right), ylim=(0, 1.2 * max([most, *levels.values()])))
    axis.xaxis.set_major_formatter("{x:g}")
    ends = np.array([0.0, right])
    return [Curve(ends, np.array([value, value]), text, "0.4") for text, value in levels.items()]


def largest_of(table: pd.DataFrame, columns: Sequence[str]) -> float:
    """The largest finite value in some columns; 1 if there is none above 0."""
    values = table[list(columns)].to_numpy(dtype=np.float64)
    return float(values[np.isfinite(values)].max(initial=0.0)) or 1.0


def title_of_runs(runs: Sequence[StoredRun]) -> str:
    """The distance between outputs, and the center if it is the medoid. The runs have the same metric."""
    metric = runs[0].identity["metric"]["type"]
    title = with_symbols(METRICS.get(metric, metric))
    return f"{title[:1].upper()}{title[1:]} between outputs" + center_of(runs)


def center_of(runs: Sequence[StoredRun]) -> str:
    """The end of a title if the center is the medoid. Else empty."""
    return "; the center is the medoid" if runs[0].identity["certifier"].get("center") == "medoid" else ""


def about(table: pd.DataFrame, edge: str = UPPER_EDGE) -> str:
    """What a heading says about medians: the examples, the share that abstained, and infinite medians.

    Args:
        table: the medians.
        edge: what marks on the upper edge are, if there are any.
    """
    shares = abstained(table)
    each = ", ".join(f"{name} {shares[name]}" for name in SHORT if name in shares)
    said = [examples_text(table["examples"]), f"abstained: {each}"]
    if np.isinf(table[list(QUANTITIES)]).any(axis=None):
        said.append(f"on the upper edge: {edge}")
    return "; ".join(said)


def abstained(table: pd.DataFrame, by: str = "certificate") -> dict[str, str]:
    """The share of the examples without an answer at the least and at the most, by certificate or another column."""
    shares = table.groupby(by, sort=False)["abstained"]
    ends = {str(name): dict.fromkeys(f"{share:.0%}" for share in (of.min(), of.max())) for name, of in shares}
    return {name: " to ".join(texts) for name, texts in ends.items()}
