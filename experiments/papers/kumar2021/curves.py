"""Figures 5 to 8 of center smoothing: median certified output radius and smoothing error against eps_in."""

from math import prod, sqrt
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy

from experiments.papers.kumar2021.calibrated import balanced_medians_of
from experiments.papers.kumar2021.certificates import (
    OURS,
    PAPERS,
    about_ours,
    certificate_of,
    in_order,
    our_verdicts,
    ratio_notes,
    split,
)
from experiments.papers.kumar2021.medians import (
    CLAIMS,
    EACH,
    PAPER_DATA,
    CenterFigure,
    abstention_notes,
    by_panel,
    medians_of,
    space_of,
    trend_quantities,
)
from experiments.papers.kumar2021.panels import (
    MOST,
    about,
    draw_rows,
    styled,
    title_of_runs,
)
from experiments.report.claims import all_rows, verdicts
from experiments.report.figure import Drawing
from experiments.report.left_out import not_in, trained_otherwise
from experiments.report.measured import NOTHING, ratio_of_medians
from experiments.report.symbols import IN, NORMS
from experiments.runs.output_space import image_shape, largest_distance
from experiments.runs.reader import StoredRun, sigma_of, training_sigma
from smoothing import SettingError

BOUND = "bound of expectation smoothing"
LARGEST, YARDSTICK = "largest between two images", "the paper's yardstick"
SHOWN = {BOUND: "expectation smoothing", LARGEST: "largest possible", YARDSTICK: YARDSTICK}  # levels, in the figure
BASELINE_H = 2  # h of the bounds that appendix F prints
SAME_H = 1e-3  # relative tolerance, because users round sigma = eps_in / h
ONE_LEVEL = "one noise level cannot show a trend"
Again = list[tuple[StoredRun, pd.DataFrame]]  # runs whose draws were read again, with the medians
ONE_TRAINING = "its base function was trained in one way only, with noise or without"
WITH, WITHOUT = "trained with noise", "trained without noise"


class MedianCurves(CenterFigure):
    """Fig. 7: one curve for each h = eps_in / sigma and certificate. Each run gives one point of each of its curves.

    Our certificates come from our runs. Where there is none, they come from the draws of the paper's run, if it stored
    them and q and rho are known.

    Args:
        experiments: see `Figure`.
        metric: see `CenterFigure`.
        h: the ratios to draw, if the runs' tables have them; at most `most_h`.
        claims: id in claims.csv of the claims to check.

    Raises:
        SettingError: h is empty or has too many values.
    """

    most_h = MOST
    claimed: ClassVar[str] = ""  # the level that a claim is about, as in `SHOWN`
    extra: ClassVar[dict[str, str]] = {}  # columns to draw beside eps_out, and what they are

    def __init__(self, experiments: list[str], metric: str, h: list[float], claims: str) -> None:
        super().__init__(experiments, metric)
        if not 1 <= len(h) <= self.most_h:
            raise SettingError(f"figure.h: expected 1 to {self.most_h} numbers, such as [2], got {h}")
        self.h, self.claims = h, claims

    def why_not(self, run: StoredRun) -> str:
        if why := super().why_not(run):
            return why
        has_points = len(self._points(medians_of(run))) > 0
        return "" if has_points else "none of its eps_in is sigma times one of figure.h"

    def label(self, run: StoredRun, h: float) -> str:
        """The label of the curve to which a run's point belongs."""
        return f"h = {h:g}"

    def levels(self, run: StoredRun) -> dict[str, float]:
        """Distances to mark in the run's panel, by name."""
        largest = largest_distance(run)
        return {} if largest is None else {LARGEST: largest}

    def quantities(self, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
        """The quantities of this figure in claims.csv that depend on the certificate; `table` has one certificate."""
        return trend_quantities(table)

    def heading(self, table: pd.DataFrame, runs: list[StoredRun]) -> str:
        """What a reader must know, below the title."""
        return about(table)

    def facts(self, table: pd.DataFrame) -> dict[str, dict[str, float]]:
        """The other quantities of this figure in claims.csv. By default none."""
        return {}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        grouped = by_panel(runs)
        again = {title: self._again(group) for title, group in grouped.items()}
        table = self._table(grouped, again)
        one = f", $h$ = {self.h[0]:g}" if len(self.h) == 1 else ""
        figure = draw_rows(
            styled(table),
            {title: f"{IN} ({NORMS['l2']}, {space_of(group[0])})" for title, group in grouped.items()},
            {title: {SHOWN[k]: v for k, v in self.levels(group[0]).items()} for title, group in grouped.items()},
            self.claimed,
            (title_of_runs(runs) + one, self.heading(table, runs)),
            self.extra,
        )
        levels = pd.DataFrame([self.levels(group[0]) for group in grouped.values()], index=list(grouped))
        table = table.join(levels, on="panel")
        notes = [f"{title}: {note}" for title, group in grouped.items() for note in self._about(group, again[title])]
        notes += ratio_notes(table, ["panel", "h"])
        notes += abstention_notes(table, ["panel", "certificate", "curve", "eps_in"])
        one_level = len({sigma_of(run) for run in split(runs)[0]}) == 1
        shown = table.drop(columns=list(EACH))
        return Drawing(figure, shown, self._verdicts(table), notes, partial=ONE_LEVEL if one_level else "")

    def _verdicts(self, table: pd.DataFrame) -> pd.DataFrame:
        """The paper's claims: of its certificate, then of ours."""
        papers, ours = (self.quantities(table[table["certificate"] == name]) for name in (PAPERS, OURS))
        papers |= self.facts(table)
        return all_rows(verdicts(CLAIMS, self.claims, papers), our_verdicts(CLAIMS, self.claims, ours))

    def _again(self, group: list[StoredRun]) -> Again:
        """Our medians from the draws of the paper's runs, at noise levels that no run of ours has."""
        papers, ours = split(group)
        known = {sigma_of(run) for run in ours}
        read = [(run, balanced_medians_of(run)) for run in papers if self.ours and sigma_of(run) not in known]
        return [(run, medians) for run, medians in read if len(medians)]

    def _about(self, group: list[StoredRun], again: Again) -> list[str]:
        return about_ours(group, {sigma_of(run) for run, _ in again}) if self.ours else []

    def _table(self, grouped: dict[str, list[StoredRun]], again: dict[str, Again]) -> pd.DataFrame:
        """The points of all curves, sorted by panel, curve, certificate (the paper's first) and eps_in."""
        parts = []
        for title, group in grouped.items():
            given = [(run, certificate_of(run), medians_of(run)) for run in group]
            for run, certificate, medians in (*given, *((run, OURS, medians) for run, medians in again.get(title, []))):
                points = self._points(medians)
                curve = [self.label(run, h) for h in points["h"]]
                parts.append(points.assign(panel=title, curve=curve, certificate=certificate))
        table = pd.concat(parts, ignore_index=True)
        by = ["panel", "curve", "certificate", "eps_in"]
        table = table.sort_values(by, key=in_order(grouped))
        return table[[*by[:3], *parts[0].columns[:-3]]].reset_index(drop=True)

    def _points(self, medians: pd.DataFrame) -> pd.DataFrame:
        """The rows at the chosen h. Their h is replaced by the exact chosen value."""
        near = np.isclose(medians["h"].to_numpy()[:, None], self.h, rtol=SAME_H)
        return medians[near.any(axis=1)].assign(h=np.array(self.h)[near.argmax(axis=1)[near.any(axis=1)]])


class TotalVariationCurves(MedianCurves):
    """Fig. 5, with the largest possible distance between two images and the paper's value for it."""

    def levels(self, run: StoredRun) -> dict[str, float]:
        found, shape = super().levels(run), image_shape(run)
        if shape and run.identity["dataset"]["type"] in PAPER_DATA:
            channels, height, width = shape
            found[YARDSTICK] = float(2 * channels * (height - 1) * (width - 1))
        return found


class BaselineCurves(MedianCurves):
    """Fig. 6: median and largest l2 certificates, compared with the bound of expectation smoothing."""

    most_h = 1
    claimed = SHOWN[BOUND]
    extra: ClassVar = {"largest_eps_out": "largest of the examples"}

    def levels(self, run: StoredRun) -> dict[str, float]:
        shape = image_shape(run)
        return {} if shape is None else {BOUND: expectation_bound(self.h[0], prod(shape))}

    def quantities(self, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
        over = {}
        for panel, rows in self._bounded(table).groupby("panel", sort=False):
            working = np.isfinite(rows["eps_out"]) & (rows["eps_out"] > NOTHING)
            ratio = (rows["largest_eps_out"] / rows[BOUND]).max() if working.all() else np.nan
            over[f"{panel}, h = {self.h[0]:g}"] = float(ratio)
        return super().quantities(table) | {"largest eps_out of any example over the bound": over}

    def facts(self, table: pd.DataFrame) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for panel, rows in self._bounded(table).groupby("panel", sort=False):
            data, case = str(panel).partition(",")[0], f"{panel}, h = {self.h[0]:g}"
            if self.h[0] == BASELINE_H:
                found.setdefault(f"{BOUND} for {data}", {})[case] = float(rows[BOUND].iloc[0])
        return found

    @staticmethod
    def _bounded(table: pd.DataFrame) -> pd.DataFrame:
        """The rows with a bound."""
        return table.dropna(subset=[BOUND]) if BOUND in table else table.head(0)


class TrainingNoiseCurves(MedianCurves):
    """Fig. 8: base functions trained under the noise of certification or on clean inputs, at one h."""

    also = "trainer.noisy=true,false"
    most_h = 1
    ours = ()

    def why_not_compared(self, run: StoredRun) -> str:
        return "" if training_sigma(run) == 0 else trained_otherwise(run)

    def label(self, run: StoredRun, h: float) -> str:
        return WITH if training_sigma(run) else WITHOUT

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        return "" if self._both(runs) else ONE_TRAINING

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        shown = self._both(runs)
        older = super().left_out(runs)
        known = [*shown, *(run for of in older.values() for run in of)]
        return not_in(known, runs, ONE_TRAINING) | older

    def draw(self, runs: list[StoredRun]) -> Drawing:
        return super().draw(self._both(runs))

    @staticmethod
    def _both(runs: list[StoredRun]) -> list[StoredRun]:
        """The runs of panels that have both kinds of training."""
        groups = [group for group in by_panel(runs).values() if len({bool(training_sigma(run)) for run in group}) > 1]
        return [run for group in groups for run in group]

    def quantities(self, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for panel, rows in table.groupby("panel", sort=False):
            kinds = {curve: part.set_index("eps_in") for curve, part in rows.groupby("curve")}
            both = [eps for eps in kinds[WITH].index if eps in kinds[WITHOUT].index]
            for each, name in zip(EACH, ("eps_out", "smoothing error"), strict=True):
                if both:
                    ratio = ratio_of_medians(*(list(kinds[curve].loc[both, each]) for curve in (WITH, WITHOUT)))
                    quantity = f"largest median {name} with training noise over that without"
                    found.setdefault(quantity, {})[f"{panel}, h = {self.h[0]:g}"] = ratio
        return found


def expectation_bound(h: float, k: int) -> float:
    """How far an l2 perturbation of h sigma can move the expectation of k outputs in [0, 1] under Gaussian noise.

    The bound of Wolf (2019), from center smoothing's appendix F: sqrt(k) erf(h / (2 sqrt(2))) =
    sqrt(k) (2 Phi(h / 2) - 1). It is the total variation distance of the two Gaussians times the diameter of [0, 1]^k.
    """
    return sqrt(k) * (2 * float(scipy.stats.norm.cdf(h / 2)) - 1)
