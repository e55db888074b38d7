"""Any runs in one figure: certified accuracy against radius, or medians of outputs against eps_in."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from experiments.machine.words import counted
from experiments.papers.yours.compared import CLASSES, OPTIMISTIC, ComparedRuns, Radii, kind_of
from experiments.papers.yours.curve_names import LEFT, in_lines, name_panels
from experiments.papers.yours.differences import other_inputs, texts_of
from experiments.papers.yours.run_settings import differing, trained_elsewhere
from experiments.papers.yours.series import (
    Series,
    by_source,
    joined,
    names_in,
    panels_of,
    series_of,
    sigma_text,
    sizes_of,
)
from experiments.papers.yours.titles import (
    data_text,
    input_radius_title,
    metric_text,
    radius_title,
    space_notes,
    space_of,
)
from experiments.papers.yours.values import largest_radius, medians_of, steps_of, why_zero
from experiments.report.direct_labels import Curve
from experiments.report.figure import LINES, Drawing
from experiments.report.layout import head, panels
from experiments.report.symbols import OUT, SIGMA
from experiments.report.titles import data_title, examples_text, numbers_text
from experiments.runs.reader import StoredRun
from smoothing import SettingError

HEIGHT = 2.4  # inches of a panel
COLORS = 6  # of the cycle in paper.mplstyle
MANY = 4  # panels; if there are more, two are side by side
FEW_DECADES = 30  # a distance axis with a larger ratio is logarithmic
INFINITE = "\u25b2 infinite"  # the mark on the upper edge
QUANTITIES = {"eps_out": f"median {OUT}", "smoothing_error": "median smoothing error"}


class Compare(ComparedRuns):
    """Compares runs: step curves of certified accuracy with 95 % bands over test examples, or medians of outputs.

    A panel has at most five series; see `panels_of`. Differences of runs at equal sigma are tested, and the results
    printed and written.

    Args:
        radii: see `ComparedRuns`.
        envelope: see `ComparedRuns`.
        columns: panels side by side. None: one, which is legible on a phone; two if there are more than four panels.

    Raises:
        SettingError: columns is below 1, or a radius is negative.
    """

    def __init__(self, radii: Radii = None, envelope: bool = False, columns: int | None = None) -> None:
        super().__init__(radii, envelope)
        if columns is not None and columns < 1:
            raise SettingError(f"figure.columns: expected at least 1, got {columns}")
        self.columns = columns

    def draw(self, runs: list[StoredRun]) -> Drawing:
        envelope = self.envelope and any(len(some) > 1 for some in by_source(runs).values())
        series, of_classes = series_of(runs, envelope=envelope), kind_of(runs[0]) == CLASSES
        figure, table = self._accuracies(series) if of_classes else self._medians(series)
        _head(figure, series, table)
        notes = [*space_notes(runs), *differing(by_source(runs)), *_example_notes(series)]
        notes += _zero_notes(series) if of_classes else _infinite_notes(table)
        if envelope:
            return Drawing(
                figure, table, pd.DataFrame(), [*_envelope_notes(series), *trained_elsewhere(by_source(runs)), *notes]
            )
        return Drawing(figure, table, pd.DataFrame(), notes, texts_of(series, self.radii, outputs=not of_classes))

    def _accuracies(self, series: list[Series]) -> tuple[MatplotlibFigure, pd.DataFrame]:
        parted = panels_of(series)
        figure, axes = self._axes(len(parted))
        parts, drawn = [], []
        for axis, (title, some) in zip(axes, parted, strict=True):
            end = 1.05 * largest_radius(some) or 1.0
            curves = [steps_of(one, end) for one in some]
            parts += [curve.assign(series=one.name, source=one.source) for one, curve in zip(some, curves, strict=True)]
            styles = zip(curves, _names(some, series), _styles(some, parted), strict=True)
            drawn.append([_draw_steps(axis, curve, name, *style) for curve, name, style in styles])
            axis.set(xlim=(0, end), ylim=(0, 1))
            _set_title(axis, title)
        _finish(figure, axes, "certified accuracy", radius_title(space_of(series[0].run)), drawn)
        table = pd.concat(parts, ignore_index=True)
        return figure, table[["series", "source", "sigma", "radius", "accuracy", "low", "high", "examples"]]

    def _medians(self, series: list[Series]) -> tuple[MatplotlibFigure, pd.DataFrame]:
        parted = panels_of(series)
        table = pd.concat([medians_of(one).assign(series=one.name, source=one.source) for one in series])
        curves = {id(one): medians_of(one) for one in series}
        quantities = [name for name in QUANTITIES if name in table]
        figure, axes = self._axes(len(parted) * len(quantities))
        drawn = []
        for k, axis in enumerate(axes):
            name, (title, some) = quantities[k % len(quantities)], parted[k // len(quantities)]
            shown = [curves[id(one)] for one in some]
            styles = zip(shown, _names(some, series), _styles(some, parted), strict=True)
            drawn.append([_draw_medians(axis, curve, name, label, *style) for curve, label, style in styles])
            every = pd.concat(shown)
            axis.set(xlim=(0, 1.06 * every["eps_in"].max()))
            _set_title(axis, title)
            axis.set_ylabel(_quantity_title(name, series[0].run))
            _scale(axis, every[name])
        _finish(figure, axes, "", input_radius_title(space_of(series[0].run)), drawn)
        return figure, table[
            ["series", "source", "sigma", *(name for name in curves[id(series[0])] if name != "sigma")]
        ]

    def _axes(self, count: int) -> tuple[MatplotlibFigure, list[Axes]]:
        return panels(count, HEIGHT, self.columns or (2 if count > MANY else 1))


def _finish(figure: MatplotlibFigure, axes: list[Axes], ylabel: str, xlabel: str, drawn: list[list[Curve]]) -> None:
    """Label the axes at the edges of the figure, and the curves."""
    columns = _columns(axes[0])
    for k, axis in enumerate(axes):
        axis.xaxis.set_major_formatter("{x:g}")
        if ylabel and k % columns == 0:
            axis.set_ylabel(ylabel)
        if k + columns >= len(axes) or axes[k + columns].get_xlim() != axis.get_xlim():
            axis.set_xlabel(xlabel)
    name_panels(figure, list(zip(axes, drawn, strict=True)))


def _columns(axis: Axes) -> int:
    return axis.get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]


def _set_title(axis: Axes, title: str) -> None:
    axis.set_title(in_lines(title, axis.figure.get_figwidth() / _columns(axis) - LEFT))  # type: ignore[union-attr]


def _styles(some: list[Series], panels: list[tuple[str, list[Series]]]) -> list[tuple[str, Any]]:
    """Color and line of each series of a panel: those of its source, if no source has two series in a panel."""
    sources = list(dict.fromkeys(one.source for _, part in panels for one in part))
    by_source = all(len({one.source for one in part}) == len(part) for _, part in panels)
    numbers = [sources.index(one.source) if by_source else k for k, one in enumerate(some)]
    return [(f"C{k % COLORS}", LINES[k % len(LINES)]) for k in numbers]


def _draw_steps(axis: Axes, curve: pd.DataFrame, name: str, color: str, line: Any) -> Curve:
    """Draw a step curve down to 0, where it ends, and its band."""
    shown = curve[: int((curve["accuracy"] > 0).sum()) + 1]
    x, y = shown["radius"].to_numpy(), shown["accuracy"].to_numpy()
    if len(x) > 1 and y[-1] == 0:
        x = np.concatenate([x[:-1], x[-2:-1]])  # falls at the last radius
    axis.fill_between(x, shown["low"], shown["high"], step="pre", color=color, alpha=0.12, lw=0)
    axis.plot(x, y, drawstyle="steps-pre", color=color, ls=line, label=name)
    return Curve(np.repeat(x, 2)[:-1], np.repeat(y, 2)[1:], name, color)


def _draw_medians(axis: Axes, curve: pd.DataFrame, column: str, name: str, color: str, line: Any) -> Curve:
    """Draw medians with marks, infinite ones on the upper edge, and for eps_out the interval of the median."""
    x, y = curve["eps_in"].to_numpy(), curve[column].to_numpy(dtype=np.float64)
    finite = np.isfinite(y)
    axis.plot(x, np.where(finite, y, np.nan), marker="o", ms=3, color=color, ls=line, label=name)
    if not finite.all():
        edge: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "clip_on": False}
        axis.plot(x[~finite], np.ones(int((~finite).sum())), marker="^", ms=4, ls="none", color=color, **edge)
    if column == "eps_out":
        high = np.where(np.isfinite(curve["high"]), curve["high"], np.nan)
        axis.fill_between(x, curve["low"], high, color=color, alpha=0.12, lw=0)
    return Curve(x[finite], y[finite], name, color)


def _scale(axis: Axes, values: "pd.Series[float]") -> None:
    """A linear axis from 0, or a logarithmic one if values differ by much."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > FEW_DECADES * finite.min():
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, 1.15 * finite.max() if len(finite) and finite.max() > 0 else 1)


def _quantity_title(name: str, run: StoredRun) -> str:
    metric = metric_text(run)
    return f"{QUANTITIES[name]}\n({metric})" if metric else QUANTITIES[name]


def _head(figure: MatplotlibFigure, series: list[Series], table: pd.DataFrame) -> None:
    """The title: the label if no curve has it, the data and the marks that need an explanation."""
    sources = table["source"].unique()
    label = [sources[0]] if len(sources) == 1 < len(series) else []
    shown = ", ".join([*label, data_title(data_text(series[0].run)), examples_text(table["examples"])])
    marks = ["bands: 95 %"] if _has_band(table) else []
    marks += [INFINITE] if any(np.isinf(table[name]).any() for name in QUANTITIES if name in table) else []
    head(figure, "; ".join([shown, *marks]))


def _has_band(table: pd.DataFrame) -> bool:
    """Whether any band is visible: two neighbouring points of a series have finite limits."""
    known = np.isfinite(table["high"])
    return bool((known & known.groupby(table["series"], sort=False).shift(fill_value=False)).any())


def _example_notes(series: list[Series]) -> list[str]:
    """Notes if the runs have different test examples, by index or by what is in them."""
    runs = [run for one in series for run in one.runs]
    sets = {frozenset(run.table["index"]) for run in runs}
    sizes = numbers_text([len(indices) for indices in sets])
    notes = [f"the runs have different test examples, {sizes} each"] if len(sets) > 1 else []
    if changed := other_inputs(runs):
        notes.append(
            f"the data set has changed between the runs: {counted(len(changed), 'test example')}, such as "
            f"{min(changed)}, {'is' if len(changed) == 1 else 'are'} not the same in all of them; runs of different "
            "data are not compared example by example"
        )
    return notes


def _names(some: list[Series], series: list[Series]) -> list[str]:
    """The names of a panel's curves, with their numbers of test examples if these differ among all series, and with
    the reason why nothing of a curve is seen.
    """
    differ = len({sizes_of(one) for one in series}) > 1
    names = []
    for one, name in zip(some, names_in(some), strict=True):
        why = why_zero(one).replace(" examples", "") if kind_of(one.run) == CLASSES else ""
        about = joined(examples_text(sizes_of(one)).replace("test ", "") if differ else "", why)
        names.append(f"{name} ({about})" if about else name)
    return names


def _zero_notes(series: list[Series]) -> list[str]:
    """The series of classes whose certified accuracy is 0, and why."""
    zero = {joined(one.name, sigma_text(one)).replace(SIGMA, "sigma"): why_zero(one) for one in series}
    return [f"{name}: certified accuracy 0, because {why}" for name, why in zero.items() if why]


def _infinite_notes(table: pd.DataFrame) -> list[str]:
    """The shares of examples without a certificate, for each series that has any; and curves without a band."""
    unbounded = table[(table["low"] == 0) & np.isinf(table["high"]) & ~np.isinf(table["eps_out"])]
    few = ", ".join(map(str, unbounded["source"].unique()))
    notes = [f"{few}: no band, because so few examples give no 95 % interval of the median"] if few else []
    for name, rows in table.groupby("source", sort=False):
        shares = sorted({f"{share:.0%}" for share in (rows["infinite"].min(), rows["infinite"].max())}, key=len)
        if rows["infinite"].any():
            notes.append(f"{name}: {' to '.join(shares)} of the examples have no certificate; they count as infinite")
    return notes


def _envelope_notes(series: list[Series]) -> list[str]:
    counts = ", ".join(f"{len(one.runs)} of {one.source}" for one in series)
    return [f"the best of several runs at each point ({counts}); {OPTIMISTIC}, so no differences are tested"]
