"""Ours: balanced center smoothing beside center smoothing, each with its own runs."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.papers.kumar2021.certificates import (
    certificate_of,
    differences,
    ratio_notes,
    split,
    worst_ratios,
)
from experiments.papers.kumar2021.curves import MedianCurves
from experiments.papers.kumar2021.medians import EACH, abstention_notes, by_panel, medians_of, space_of
from experiments.papers.kumar2021.panels import QUANTITIES, about, draw_medians, limits, styled, title_of_runs
from experiments.report.claims import verdicts
from experiments.report.direct_labels import name_curves
from experiments.report.figure import Drawing
from experiments.report.layout import head, panels
from experiments.report.left_out import not_in
from experiments.report.symbols import IN, NORMS
from experiments.report.titles import data_title
from experiments.runs.reader import StoredRun, sigma_of
from smoothing import Gaussian
from smoothing.center_bounds import BOUNDS

CLAIMS = Path(__file__).with_name("claims.csv")
NO_BALANCED = "there is no run of balanced center smoothing to compare it with"


class Balanced(MedianCurves):
    """Median eps_out against eps_in, two curves for each h = eps_in / sigma: center smoothing, and balanced.

    A panel shows the runs of one data set and base function, if some are balanced. The training of the two may differ;
    a note says so.

    Args:
        experiments: see `Figure`.
        metric: see `CenterFigure`.
        h: the ratios to draw, if the runs' tables have them; at most three.
    """

    def __init__(self, experiments: list[str], metric: str, h: list[float]) -> None:
        super().__init__(experiments, metric, h, claims="balanced")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {name: value for name, value in super().setting(run).items() if name not in ("certifier", "training")}

    def label(self, run: StoredRun, h: float) -> str:
        return f"{certificate_of(run)}, h = {h:g}"

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        return "" if with_balanced(runs) else NO_BALANCED

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        older = super().left_out(runs)
        known = [run for of in (*with_balanced(runs).values(), *older.values()) for run in of]
        return not_in(known, runs, NO_BALANCED) | older

    def draw(self, runs: list[StoredRun]) -> Drawing:
        grouped = with_balanced(runs)
        table = self._table(grouped, {})
        figure, axes = panels(len(grouped), 2.5)
        shown, drawn = styled(table.assign(curve=[f"h = {h:g}" for h in table["h"]])), []
        for axis, (title, group) in zip(axes, grouped.items(), strict=True):
            here = shown[shown["panel"] == title]
            drawn.append(draw_medians(axis, here, "eps_out"))
            limits(axis, here, ["eps_out"], {})
            axis.set(title=data_title(title), xlabel=f"{IN} ({NORMS['l2']}, {space_of(group[0])})")
        for axis in axes[::2]:
            axis.set_ylabel(QUANTITIES["eps_out"])
        head(figure, title_of_runs(runs), about(table))
        name_curves(figure, zip(axes, drawn, strict=True))
        claims = verdicts(CLAIMS, self.claims, worst_ratios(table, ["panel", "h"]))
        notes = [*ratio_notes(table, ["panel", "h"])]
        notes += [note for title, group in grouped.items() for note in self._group(title, group)]
        notes += abstention_notes(table, ["panel", "curve", "eps_in"])
        return Drawing(figure, table.drop(columns=list(EACH)), claims, notes)

    def _group(self, title: str, group: list[StoredRun]) -> list[str]:
        """What the comparison in a panel does not keep equal, and the h that only balanced center smoothing has."""
        papers, ours = split(group)
        if not papers:
            return [f"{title}: there is no run of center smoothing"]
        notes = [f"{title}: {difference}" for difference in differences(papers, ours)]
        for h in self.h:
            if not any(np.isclose(self._points(medians_of(run))["h"], h).any() for run in papers):
                able = sum(can_certify(run, h) for run in papers)
                said = f"center smoothing has no rows at h = {h:g}"
                notes.append(f"{title}: {said}; with their m, {able} of {len(papers)} runs could certify")
        return notes


def with_balanced(runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
    """The panels of `by_panel` that have a run of balanced center smoothing."""
    return {title: group for title, group in by_panel(runs).items() if split(group)[1]}


def can_certify(run: StoredRun, h: float) -> bool:
    """Whether m distances can bound the quantile that center smoothing reads at eps_in = h sigma."""
    own, noise = run.identity["certifier"], Gaussian(sigma_of(run), run.identity.get("grid"))
    p = noise.mass(0.5 + own["delta"], h * noise.sigma)
    return BOUNDS[own.get("bound", "paper")].order_statistic(p, own["m"], own.get("alpha2", 0.005)) is not None
