"""Certified accuracy against l1 radius: figures 7 and 8 of Levine and Feizi, and the figures of their appendix."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.papers.levine2021.gaps import gap_quantities
from experiments.papers.levine2021.results import (
    DENOISED,
    DENOISERS,
    METHODS,
    Classifier,
    LevineFigure,
    accuracy_at,
    classifiers,
    denoiser_of,
    example_notes,
    lambda_of,
    levine_verdicts,
)
from experiments.report.accuracy_curve import bands_text, draw_accuracy
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing
from experiments.report.layout import NARROW, WIDTH, head
from experiments.report.left_out import NOT_LISTED, not_in
from experiments.report.symbols import NORMS, sigma_text
from experiments.report.titles import examples_text, title_of
from experiments.runs.reader import StoredRun, experiment_of, sigma_of

POINTS = 301
STYLES = {"uniform": ("C1", "--"), "SSN": ("C2", "-."), "DSSN": ("C0", "-")}  # distinguishable without color
NAMES = "SSN: splitting noise, DSSN: deterministic SSN"
RADII = f"certified accuracy against {NORMS['l1']} radius (pixels in [0, 1])"
WITHOUT_DENOISER = "no run with a denoiser has its sigma and setting"
WITHOUT, WITH = "without stability training", "with stability training"


class MethodCurves(LevineFigure):
    """Figs. 7 and 8: one panel for each sigma, with a curve and its 95% band for each method.

    Runs without and with stability training have separate rows of panels. Rows without runs are omitted.

    Attributes:
        rows: the possible rows, from the top.

    Args:
        experiments: see `Figure`. Only their runs are drawn, because the claims are about them.
        sigma: the noise levels to draw, if there are runs.
        methods: uniform, SSN, DSSN, or some of them.
        claims: id in claims.csv of the claims to check.
    """

    rows: tuple[str, ...] = (WITHOUT, WITH)

    def __init__(self, experiments: list[str], sigma: list[float], methods: list[str], claims: str) -> None:
        super().__init__(experiments)
        self.sigma, self.methods, self.claims = sigma, methods, claims

    def why_not(self, run: StoredRun) -> str:
        if why := super().why_not(run):
            return why
        if experiment_of(run) not in self.experiments:
            return NOT_LISTED
        if METHODS[run.identity["noise"]["type"]] not in self.methods:
            return "its noise is not one of figure.methods"
        return self.why_in_no_row(run) if sigma_of(run) in self.sigma else "its sigma is not one of figure.sigma"

    def why_in_no_row(self, run: StoredRun) -> str:
        """Why the run belongs to none of the rows. Empty if it belongs to one."""
        return DENOISED if denoiser_of(run) else ""

    def row_of(self, classifier: Classifier) -> str:
        """The row of panels for a classifier."""
        return WITH if classifier.stability else WITHOUT

    def described(self, classifier: Classifier) -> dict[str, str | bool]:
        """The columns of the table that describe a classifier's row."""
        return {"stability_training": classifier.stability}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        found = classifiers(runs)
        rows = sorted({self.row_of(c) for c in found}, key=self.rows.index)
        columns = sorted({c.sigma for c in found})
        figure, grid = plt.subplots(
            *(len(columns), len(rows)),
            sharey=True,
            sharex="row",
            squeeze=False,
            figsize=(WIDTH if len(rows) > 1 else NARROW, 0.9 + 1.45 * len(columns)),
        )
        parts: list[pd.DataFrame] = []
        drawn: dict[Axes, list[Curve]] = {axis: [] for axis in grid.flat}
        for classifier, run in found.items():
            axis = grid[columns.index(classifier.sigma)][rows.index(self.row_of(classifier))]
            curve = curve_of(run)
            drawn[axis].append(draw_accuracy(axis, curve, classifier.method, *STYLES[classifier.method]))
            described = {"method": classifier.method, "sigma": classifier.sigma, **self.described(classifier)}
            parts.append(curve.assign(**described))
        name = self.drawn_as(runs[0])
        _finish(grid, rows, [sigma_text(sigma) for sigma in columns])
        head(figure, f"{title_of(name)}: {RADII}", f"{bands_text(parts)}; {NAMES}")
        name_curves(figure, drawn.items())
        table = pd.concat(parts, ignore_index=True)
        by_row = {row: {c: run for c, run in found.items() if self.row_of(c) == row} for row in rows}
        claims = levine_verdicts(self.claims, gap_quantities(by_row, name))
        return Drawing(figure, table, claims, example_notes(found))


class DenoiserCurves(MethodCurves):
    """Appendix: the base classifier alone and behind a denoiser (Salman et al. 2020); one row per denoiser training.

    Drawn at each sigma that has runs with a denoiser.
    """

    rows = ("without denoiser", *(f"with denoiser ({training})" for training in DENOISERS.values()))

    def why_in_no_row(self, run: StoredRun) -> str:
        stable = run.identity.get("training", {}).get("stability", 0.0) > 0
        return "its classifier had stability training; figure=dssn_methods shows such runs" if stable else ""

    def row_of(self, classifier: Classifier) -> str:
        return f"with denoiser ({classifier.denoiser})" if classifier.denoiser else "without denoiser"

    def described(self, classifier: Classifier) -> dict[str, str | bool]:
        return {"denoiser": classifier.denoiser or "none"}

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        return "" if self._beside_denoisers(runs) else WITHOUT_DENOISER

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        shown = self._beside_denoisers(runs)
        return not_in(shown, runs, WITHOUT_DENOISER) | super().left_out(shown)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        return super().draw(self._beside_denoisers(runs))

    @staticmethod
    def _beside_denoisers(runs: list[StoredRun]) -> list[StoredRun]:
        """The runs at noise levels that have runs with a denoiser."""
        with_denoiser = {sigma_of(run) for run in runs if denoiser_of(run)}
        return [run for run in runs if sigma_of(run) in with_denoiser]

    def setting(self, run: StoredRun) -> dict[str, object]:
        return {key: value for key, value in super().setting(run).items() if key not in ("model", "training")}


class EverySigma(LevineFigure):
    """Appendix: all curves of a method in one panel, from the smallest sigma to the largest.

    Methods are columns. Runs without and with stability training have separate rows. Rows without runs are omitted.
    """

    def why_not(self, run: StoredRun) -> str:
        return super().why_not(run) or (DENOISED if denoiser_of(run) else "")

    def draw(self, runs: list[StoredRun]) -> Drawing:
        found = classifiers(runs)
        rows, sigmas = sorted({c.stability for c in found}), sorted({c.sigma for c in found})
        methods = list(dict.fromkeys(c.method for c in found))
        figure, grid = plt.subplots(
            *(len(methods), len(rows)),
            sharey=True,
            sharex=True,
            squeeze=False,
            figsize=(WIDTH if len(rows) > 1 else NARROW, 0.9 + 1.9 * len(methods)),
        )
        parts: list[pd.DataFrame] = []
        drawn: dict[Axes, list[Curve]] = {axis: [] for axis in grid.flat}
        for classifier, run in found.items():
            curve, i = curve_of(run), sigmas.index(classifier.sigma)
            color, line = plt.get_cmap("viridis")(0.85 * i / max(1, len(sigmas) - 1)), LINES[i % len(LINES)]
            axis = grid[methods.index(classifier.method)][rows.index(classifier.stability)]
            drawn[axis].append(draw_accuracy(axis, curve, sigma_text(classifier.sigma), color, line, band=False))
            parts.append(
                curve.assign(method=classifier.method, sigma=classifier.sigma, stability_training=classifier.stability)
            )
        _finish(grid, [WITH if stability else WITHOUT for stability in rows], methods)
        about = examples_text(int(curve["examples"].iloc[0]) for curve in parts)
        head(figure, f"{title_of(self.drawn_as(runs[0]))}: {RADII}", f"{about}; {NAMES}")
        name_curves(figure, drawn.items())
        return Drawing(figure, pd.concat(parts, ignore_index=True), pd.DataFrame(), example_notes(found))


def curve_of(run: StoredRun) -> pd.DataFrame:
    """A run's certified accuracy at radii from 0 to just above lambda, the largest possible radius."""
    return accuracy_at(run, np.linspace(0, 1.03 * lambda_of(run), POINTS))


def _finish(grid: NDArray[Any], titles: list[str], names: list[str]) -> None:
    """Set the labels and limits of a grid of panels: titles of its columns, and the names of its rows."""
    for axis, title in zip(grid[0], titles, strict=True):
        axis.set_title(title)
    for axis in grid[-1]:
        axis.set_xlabel(f"{NORMS['l1']} radius")
    for line, name in zip(grid, names, strict=True):
        line[0].set_ylabel(name)
    for axis in grid.flat:
        axis.set(ylim=(0, 1), xlim=(0, None))
        axis.xaxis.set_major_formatter("{x:g}")
        if not axis.lines:
            axis.text(0.5, 0.5, "no runs", transform=axis.transAxes, ha="center", color="0.4")
