"""Ours: deterministic center smoothing under splitting noise, certified against l1 with no failure probability."""

from pathlib import Path

import pandas as pd

from experiments.papers.kumar2021.certificates import (
    about_ours,
    certificate_of,
    in_order,
    ratio_notes,
    worst_ratios,
)
from experiments.papers.kumar2021.medians import (
    EACH,
    CenterFigure,
    abstention_notes,
    by_panel,
    largest_distance,
    medians_of,
    space_of,
)
from experiments.papers.kumar2021.panels import draw_medians, finish, label_left, legend, panel_axes
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing
from experiments.runs.reader import StoredRun, sigma_of

CLAIMS = Path(__file__).with_name("claims.csv")
COLOR, MARK = "C0", "o"


class DeterministicCurves(CenterFigure):
    """Median eps_out and smoothing error against eps_in (l1), one panel for each base function and sigma.

    Two curves of each: center smoothing with both masses above 1/2, and balanced. Each run gives a whole curve. It is
    in no paper.
    """

    noise = "DeterministicSplitting"
    papers = ("ExactCenterSmoothing",)
    ours = ("ExactBalancedCenterSmoothing",)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        grouped = by_panel(runs)
        parts = [
            medians_of(run).assign(panel=title, certificate=certificate_of(run))
            for title, group in grouped.items()
            for run in group
        ]
        table = pd.concat(parts, ignore_index=True).drop(columns=["h", *EACH])
        table = table.sort_values(["panel", "sigma", "certificate"], key=in_order(grouped), kind="stable")
        table = table[["panel", "certificate", *table.columns[:-2]]]
        panels = [(title, sigma) for title, group in grouped.items() for sigma in sorted(set(map(sigma_of, group)))]
        figure, axes = panel_axes(len(panels))
        for axis, (title, sigma) in zip(axes, panels, strict=True):
            shown, first = table[(table["panel"] == title) & (table["sigma"] == sigma)], grouped[title][0]
            draw_medians(axis, shown, COLOR, MARK)
            if (largest := largest_distance(first)) is not None:
                axis.axhline(largest, color="0.3", lw=1, ls=":", label="largest between two images")
            axis.set(title=f"{title}, sigma = {sigma:g}", xlabel=f"eps_in (l1, {space_of(first)})")
            finish(axis, shown)
        label_left(axes, self.metric)
        legend(figure, table, {})
        certain = max(float(run.table["failure_probability"].max()) for run in runs)
        notes = [f"largest failure probability of a certificate: {certain:g}"]
        notes += [f"{title}: {note}" for title, group in grouped.items() for note in about_ours(group, set())]
        notes += ratio_notes(table, ["panel", "sigma"])
        notes += abstention_notes(table, ["panel", "certificate", "sigma", "eps_in"])
        claims = verdicts(CLAIMS, "center_l1", worst_ratios(table, ["panel", "sigma"]))
        return Drawing(figure, table, claims, notes)
