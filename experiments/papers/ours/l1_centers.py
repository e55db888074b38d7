"""Ours: deterministic center smoothing under splitting noise, certified against l1 with no failure probability."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

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
    medians_of,
    space_of,
)
from experiments.papers.kumar2021.panels import QUANTITIES, about, draw_medians, limits, styled, title_of_runs
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import Drawing
from experiments.report.layout import head, panels
from experiments.report.symbols import IN, NORMS, sigma_text
from experiments.report.titles import data_title
from experiments.runs.reader import StoredRun, sigma_of

CLAIMS = Path(__file__).with_name("claims.csv")


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
        places = [(title, sigma) for title, group in grouped.items() for sigma in sorted(set(map(sigma_of, group)))]
        figure, axes = panels(len(places), sharey=True)
        shown, drawn = styled(table.assign(curve="")), []
        for axis, (title, sigma) in zip(axes, places, strict=True):
            here = shown[(shown["panel"] == title) & (shown["sigma"] == sigma)]
            drawn.append(draw_medians(axis, here, "eps_out") + _draw_errors(axis, here))
            limits(axis, shown, list(QUANTITIES), {})
            axis.set(title=sigma_text(sigma), xlabel=f"{IN} ({NORMS['l1']}, {space_of(grouped[title][0])})")
        for axis in axes[::2]:
            axis.set_ylabel(QUANTITIES["eps_out"])
        head(figure, f"{title_of_runs(runs)}; {'; '.join(map(data_title, grouped))}", about(table))
        name_curves(figure, zip(axes, drawn, strict=True))
        certain = max(float(run.table["failure_probability"].max()) for run in runs)
        notes = [f"largest failure probability of a certificate: {certain:g}"]
        notes += [f"{title}: {note}" for title, group in grouped.items() for note in about_ours(group, set())]
        notes += ratio_notes(table, ["panel", "sigma"])
        notes += abstention_notes(table, ["panel", "certificate", "sigma", "eps_in"])
        claims = verdicts(CLAIMS, "center_l1", worst_ratios(table, ["panel", "sigma"]))
        return Drawing(figure, table, claims, notes)


def _draw_errors(axis: Axes, table: pd.DataFrame) -> list[Curve]:
    """Draw the smoothing errors, which do not depend on the input radius, as dotted lines. Returns the first."""
    drawn = []
    for name, rows in table.groupby("name", sort=False):
        x, y, color = rows["eps_in"].to_numpy(), rows["smoothing_error"].to_numpy(), rows["color"].iloc[0]
        axis.plot(x, y, ":", color=color, label=f"smoothing error, {name}")
        drawn.append(Curve(x, y, "smoothing error", color))
    return drawn[:1]
