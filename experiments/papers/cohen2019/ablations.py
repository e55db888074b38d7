"""Figure 8 of Cohen et al.: other bounds, n and alpha, all computed from the counts of one run."""

from itertools import pairwise
from math import nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.papers.cohen2019.curves import POINTS, draw_curve, finish, reach_of
from experiments.papers.cohen2019.results import (
    BOUNDS,
    CLAIMS,
    CohenFigure,
    Radius,
    limit_of,
    nearest,
    radii_from_counts,
    selected_correctly,
)
from experiments.report.accuracy_curve import bands_text
from experiments.report.certified_accuracy import (
    average_radius,
    better_than_one_class,
    certified_accuracy,
    one_class_notes,
)
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import Drawing
from experiments.report.layout import head, panels
from experiments.report.left_out import ONE_LEVEL, not_in
from experiments.report.measured import Measured, measured
from experiments.report.symbols import ALPHA, sigma_text
from experiments.report.titles import title_of
from experiments.runs.reader import StoredRun, sigma_of
from smoothing.radii import cohen_radius
from smoothing.statistics import clopper_pearson_lower

PAPERS_N = 100_000
TITLES = {
    "bound": "by bound",
    "n (projected)": "by number of samples $n$ (projected)",
    "alpha": f"by failure probability {ALPHA}",
}


class Ablations(CohenFigure):
    """Fig. 8: one panel each for the bound, n and alpha. Each panel varies one and keeps the run's other two.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        n: numbers of samples to rescale the counts to.
        alpha: failure probabilities of a certificate.
    """

    def __init__(self, experiments: list[str], sigma: float, n: list[int], alpha: list[float]) -> None:
        super().__init__(experiments)
        self.sigma, self.n, self.alpha = sigma, n, alpha

    def why_not(self, run: StoredRun) -> str:
        counted = "n_a" in run.table  # the published rows have no counts
        return super().why_not(run) or ("" if counted else "its rows have no counts, which the figure reads")

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([nearest(runs, self.sigma)], runs, ONE_LEVEL)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = nearest(runs, self.sigma)
        n, alpha = run.identity["certifier"]["n"], run.identity["certifier"]["alpha"]
        settings: dict[str, dict[str, tuple[int, float, Radius]]] = {
            "bound": {name: (n, alpha, bound) for name, bound in BOUNDS.items()},
            "n (projected)": {f"n = {other:,}": (other, alpha, cohen_radius) for other in sorted(self.n)},
            "alpha": {f"alpha = {other:g}": (n, other, cohen_radius) for other in sorted(self.alpha)},
        }
        correct = selected_correctly(run)
        figure, axes = panels(len(settings), columns=1, sharex=True)
        parts, average, reaching = [], {}, {}
        drawn: list[list[Curve]] = []
        for axis, (panel, curves) in zip(axes, settings.items(), strict=True):
            drawn.append([])
            limits = {
                name: bound(sigma_of(run), clopper_pearson_lower(other_n, other_n, other_alpha))
                for name, (other_n, other_alpha, bound) in curves.items()
            }
            end = 1.05 * max(limits.values())
            for i, (name, setting) in enumerate(curves.items()):
                radius = radii_from_counts(run, *setting)
                at = np.linspace(0, end, POINTS)
                curve = certified_accuracy(correct & (radius > 0), radius, at, limits[name])
                drawn[-1].append(draw_curve(axis, curve, i, _symbols(name), band=i == 0))
                average[name] = average_radius(correct, radius)
                reaching[name] = (correct & (radius > 0))[:, None] & (radius[:, None] >= at)
                parts.append(curve.assign(panel=panel, curve=name, average_certified_radius=average[name]))
        for axis, title in zip(axes, TITLES.values(), strict=True):
            finish(axis, max(map(reach_of, drawn)))
            axis.set_title(title)
            axis.label_outer()
        name = title_of(run.record["config"]["name"])
        head(figure, f"{name}, {sigma_text(sigma_of(run))}", f"{bands_text(parts)}, of one curve in each panel")
        name_curves(figure, zip(axes, drawn, strict=True))
        table = pd.concat(parts, ignore_index=True).assign(sigma=sigma_of(run))
        quantities = _quantities(table, settings) | _lost_by_alpha(
            run, {name: reaching[name] for name in settings["alpha"]}
        )
        return Drawing(figure, table, verdicts(CLAIMS, "cohen_ablations", quantities), _notes(run, average))


def _symbols(name: str) -> str:
    """The name of a curve, with symbols: "alpha = 1e-05" has a Greek letter and a power of ten."""
    return name.replace("n = ", "$n$ = ").replace("alpha", ALPHA).replace("1e-05", "$10^{-5}$")


def _quantities(
    table: pd.DataFrame, panels: dict[str, dict[str, tuple[int, float, Radius]]]
) -> dict[str, dict[str, float]]:
    """The quantities of cohen_ablations in claims.csv: how far a curve rises above one that should lie above it."""
    curves = {name: part["accuracy"].to_numpy() for name, part in table.groupby("curve")}
    sigma = f"sigma = {table['sigma'].iloc[0]:g}"

    def excess(order: list[str]) -> dict[str, float]:
        return {sigma: max(float(np.max(curves[lower] - curves[upper])) for lower, upper in pairwise(order))}

    cohen, li, lecuyer = BOUNDS
    more_samples = excess(list(panels["n (projected)"])) if len(panels["n (projected)"]) > 1 else {}
    larger_alpha = excess(list(panels["alpha"])) if len(panels["alpha"]) > 1 else {}
    return {
        "largest certified accuracy by Lecuyer et al. above Cohen et al.'s at a radius": excess([lecuyer, cohen]),
        "largest certified accuracy by Li et al. above Cohen et al.'s at a radius": excess([li, cohen]),
        "largest certified accuracy at fewer samples above that at more": more_samples,
        "largest certified accuracy at a smaller alpha above that at a larger one": larger_alpha,
    }


def _lost_by_alpha(run: StoredRun, reaching: dict[str, NDArray[np.bool_]]) -> dict[str, dict[str, Measured]]:
    """The quantity about all alpha in claims.csv; none if the run has fewer samples than the paper's.

    With fewer, alpha decides more: it limits the largest radius.

    Args:
        run: the drawn run.
        reaching: for each alpha from the smallest on, whether each example is certified at each radius: (examples,
            radii).
    """
    names = list(reaching)
    smallest, largest = reaching[names[0]], reaching[names[-1]]
    if len(names) < 2 or run.identity["certifier"]["n"] < PAPERS_N:
        return {}
    both = smallest.any(axis=0) & largest.any(axis=0)
    lost = (largest[:, both].astype(float) - smallest[:, both]).sum(axis=1) / max(1, both.sum())
    found = measured(lambda values: float(values.mean()), pd.Series(lost))
    case = f"sigma = {sigma_of(run):g}, {names[-1]} and {names[0]}"
    quantity = "mean certified accuracy lost from the largest alpha to the smallest at radii that both reach"
    return {quantity: {case: found if better_than_one_class(run) else Measured(found.value, nan)}}


def _notes(run: StoredRun, average: dict[str, float]) -> list[str]:
    notes = [f"sigma = {sigma_of(run):g}; the run's own largest radius is {limit_of(run):.3g}"]
    notes += one_class_notes({f"sigma = {sigma_of(run):g}": run})
    notes += [f"ACR (average certified radius), {name}: {value:.4f}" for name, value in average.items()]
    return notes
