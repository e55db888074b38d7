"""Ours: deterministic center smoothing under splitting noise, certified against l1 with no failure probability."""

from typing import Any

import pandas as pd

from experiments.papers.kumar2021.medians import (
    CenterFigure,
    abstention_notes,
    by_panel,
    largest_distance,
    medians_of,
    space_of,
)
from experiments.papers.kumar2021.panels import draw_medians, finish, label_left, legend, panel_axes
from experiments.report.figure import LINES, Drawing
from experiments.runs.reader import StoredRun


class DeterministicCurves(CenterFigure):
    """Median eps_out and smoothing error against eps_in (l1), one curve per sigma. Each run gives a whole curve.

    It is in no paper.
    """

    noise = "DeterministicSplitting"
    certifiers = ("ExactCenterSmoothing",)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        grouped = by_panel(runs)
        parts = [medians_of(run).assign(panel=title) for title, group in grouped.items() for run in group]
        table = pd.concat(parts, ignore_index=True)
        table = table[["panel", *parts[0].columns[:-1]]].drop(columns="h")
        sigmas = sorted(table["sigma"].unique())
        figure, axes = panel_axes(len(grouped))
        for axis, (title, group) in zip(axes, grouped.items(), strict=True):
            shown = table[table["panel"] == title]
            for i, sigma in enumerate(sigmas):
                style: Any = (f"C{i % 6}", LINES[i % len(LINES)], "osD^vP"[i % 6])
                draw_medians(axis, shown[shown["sigma"] == sigma], style, f"sigma = {sigma:g}")
            if (largest := largest_distance(group[0])) is not None:
                axis.axhline(largest, color="0.3", lw=1, ls=":", label="largest between two images")
            axis.set(title=title, xlabel=f"eps_in (l1, {space_of(group[0])})")
            finish(axis, shown)
        label_left(axes, self.metric)
        legend(figure, table)
        certain = max(float(run.table["failure_probability"].max()) for group in grouped.values() for run in group)
        notes = [f"largest failure probability of a certificate: {certain:g}"]
        return Drawing(figure, table, pd.DataFrame(), notes + abstention_notes(table, ["panel", "sigma", "eps_in"]))
