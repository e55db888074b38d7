"""Certified accuracy against radius: figures 6, 14 and 15 of Cohen et al. All bands are 95% over test examples."""

from math import nan
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.papers.cohen2019.results import CLAIMS, CohenFigure, alpha_notes, alpha_of, in_order, limit_of, nearest
from experiments.papers.cohen2019.undefended import NAME, capped_distances, undefended_beside, upper_bound
from experiments.report.accuracy_curve import bands_text, draw_accuracy
from experiments.report.certified_accuracy import (
    average_radius,
    better_than_one_class,
    certified_accuracy,
    certified_radii,
    compared,
    mean_radii,
    one_class_notes,
    rows_of,
    shares_of,
)
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing
from experiments.report.layout import head, panels
from experiments.report.left_out import ONE_LEVEL, another, not_in
from experiments.report.measured import Measured, Values, measured
from experiments.report.symbols import NORMS, sigma_text
from experiments.report.titles import title_of
from experiments.runs.reader import StoredRun, sigma_of, training_sigma
from smoothing.radii import high_probability_accuracy

POINTS = 301
IN_REACH = 1.5  # `Curves` omits a run's limit beyond this multiple of the largest radius found
UNDEFENDED = "undefended,\nupper bound"
RADIUS = f"{NORMS['l2']} radius (pixels in [0, 1])"
TICK = "tick on the axis: the largest radius that $n$ samples can certify"


class Curves(CohenFigure):
    """Fig. 6: certified accuracy against radius, one curve for each sigma, up to the radius sigma Phi^-1(alpha^(1/n)).

    The upper bound of the undefended network is added if its run is in the same results folder.
    """

    def draw(self, runs: list[StoredRun]) -> Drawing:
        runs = in_order(runs)
        limits = [limit_of(run) for run in runs]
        reached = max(run.table["radius"].max() for run in runs)
        end = 1.05 * max([reached or min(limits), *(limit for limit in limits if limit <= IN_REACH * reached)])
        figure, axis = plt.subplots()
        parts, largest, drawn = [], {}, []
        notes = [*alpha_notes(runs), *one_class_notes({f"sigma = {sigma_of(run):g}": run for run in runs})]
        for i, (run, limit) in enumerate(zip(runs, limits, strict=True)):
            curve = curve_of(run, end)
            drawn.append(draw_curve(axis, curve, i, sigma_text(sigma_of(run))))
            name = f"sigma = {sigma_of(run):g}"
            if limit <= end:
                axis.plot(limit, 0, "|", color=f"C{i}", ms=8, mew=1.5, clip_on=False)
            else:
                notes.append(f"{name}: the largest radius that n can certify, {limit:.3g}, is outside the figure")
            parts.append(curve.assign(curve=name, sigma=sigma_of(run), largest_certifiable=limit))
            largest[name] = float(run.table["radius"].max() / limit)
        quantities: dict[str, dict[str, Any]] = {
            "largest certified radius over sigma Phi^-1(alpha^(1/n))": largest,
            **_tradeoff(runs),
        }
        undefended = undefended_beside(runs[0])
        if undefended:
            bound = upper_bound(undefended, np.linspace(0, end, POINTS))
            drawn.append(draw_accuracy(axis, bound, UNDEFENDED, "k", (0, (7, 3))))
            parts.append(bound.assign(curve=NAME))
            quantities |= _undefended_quantity(runs, undefended, end)
        finish(axis, end)
        head(figure, title_of(runs[0].record["config"]["name"]), f"{bands_text(parts)}; {TICK}")
        name_curves(figure, [(axis, drawn)])
        table = pd.concat(parts, ignore_index=True)
        return Drawing(figure, table, verdicts(CLAIMS, "cohen_curves", quantities), notes)


def _tradeoff(runs: list[StoredRun]) -> dict[str, dict[str, Any]]:
    """The quantities in claims.csv that compare the smallest and the largest sigma."""
    low, high = runs[0], runs[-1]
    if sigma_of(low) == sigma_of(high):
        return {}
    reach = float(low.table["radius"].max())
    case = f"sigma = {sigma_of(low):g} and {sigma_of(high):g}"
    return {
        "certified accuracy at radius 0 at the largest sigma over that at the smallest": {
            case: compared(lambda radii: _ratio(*shares_of(radii >= 0, radii)[::-1]), low, high)
        },
        "certified accuracy at the smallest sigma less that at the largest, beyond every radius of the smallest": {
            case: compared(lambda radii: _difference(*shares_of(radii > reach, radii)), low, high)
        },
    }


def _undefended_quantity(runs: list[StoredRun], undefended: StoredRun, end: float) -> dict[str, dict[str, Any]]:
    """The quantity in claims.csv that compares the undefended network's average distance with the best sigma's ACR."""
    _, sigma, best = max(((average_radius(*rows_of(run)), sigma_of(run), run) for run in runs), key=lambda of: of[:2])
    found = measured(
        lambda values: _ratio(*mean_radii(values)[::-1]), certified_radii(best), capped_distances(undefended, end)
    )
    works = better_than_one_class(best)
    quantity = "average radius that the undefended network survives over the largest average certified radius"
    return {quantity: {f"largest with sigma = {sigma:g}": found if works else Measured(found.value, nan)}}


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else nan


def _difference(first: float, second: float) -> float:
    return first - second


class HighProbability(CohenFigure):
    """Fig. 14: approximate certified accuracy, and theorem 6's lower bound on the true one, at each radius.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        rho: failure probability of the lower bound, for each radius separately.
    """

    def __init__(self, experiments: list[str], sigma: float, rho: float) -> None:
        super().__init__(experiments)
        self.sigma, self.rho = sigma, rho

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([nearest(runs, self.sigma)], runs, ONE_LEVEL)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = nearest(runs, self.sigma)
        alpha, m, end = alpha_of(run), len(run.table), 1.05 * max(limit_of(run), run.table["radius"].max())
        curve = curve_of(run, end)
        bound = [high_probability_accuracy(accuracy, m, alpha, self.rho) for accuracy in curve["accuracy"]]
        curve["high_probability"] = bound
        figure, axis = plt.subplots()
        above = f"the true accuracy is above,\nwith probability {1 - self.rho:g}"
        lower = draw_accuracy(axis, curve.assign(accuracy=bound), above, "C1", "--", band=False)
        drawn = [draw_curve(axis, curve, 0, "approximate certified accuracy"), lower]
        finish(axis, reach_of(drawn))
        head(figure, f"{title_of(run.record['config']['name'])}, {sigma_text(sigma_of(run))}", bands_text([curve]))
        name_curves(figure, [(axis, drawn)])
        gap = float((curve["accuracy"] - curve["high_probability"]).max())
        as_printed = m >= 500 and alpha <= 0.001  # the claim is about a run of this size
        cases = {f"sigma = {sigma_of(run):g}, {m} examples": gap} if as_printed else {}
        note = f"largest difference {gap:.4f} for {m} examples, alpha = {alpha:.3g}, rho = {self.rho:g}"
        claims = verdicts(CLAIMS, "cohen_high_probability", {"largest difference of the two lines": cases})
        return Drawing(figure, curve.assign(sigma=sigma_of(run)), claims, [note])


class TrainingNoise(CohenFigure):
    """Fig. 15: base classifiers trained with different noise levels, one panel for each sigma of certification."""

    also = "checkpoint=<one trained with another sigma> allow_mismatch=true"

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "certifier", self.certifier) or another(run, "noise", "Gaussian")
        return kind or ("" if training_sigma(run) is not None else "its noise of training is not recorded")

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        several = any(len(group) > 1 for group in _by_sigma(runs).values())
        return "" if several else "only one training noise was certified at its sigma"

    def draw(self, runs: list[StoredRun]) -> Drawing:
        by_sigma = _by_sigma(runs)
        by_noise = {sigma: group for sigma, group in by_sigma.items() if len(group) > 1}
        trained = sorted({training_sigma(run) or 0.0 for group in by_noise.values() for run in group})
        figure, axes = panels(len(by_noise), 2.6)
        parts, drawn = [], []
        for axis, (sigma, group) in zip(axes, by_noise.items(), strict=True):
            end = 1.05 * max(*map(limit_of, group), *(run.table["radius"].max() for run in group))
            curves = []
            for run in group:
                noise = training_sigma(run) or 0.0
                curve = curve_of(run, end).assign(sigma=sigma, training_sigma=noise)
                curves.append(draw_curve(axis, curve, trained.index(noise), f"trained with {sigma_text(noise)}"))
                parts.append(curve)
            finish(axis, reach_of(curves))
            axis.set_title(f"certified with {sigma_text(sigma)}")
            drawn.append(curves)
        head(figure, title_of(runs[0].record["config"]["name"]), bands_text(parts))
        name_curves(figure, zip(axes, drawn, strict=True))
        shown = [run for group in by_noise.values() for run in group]
        names = {f"trained with {training_sigma(run):g}, certified with {sigma_of(run):g}": run for run in shown}
        notes = [*alpha_notes(shown), *one_class_notes(names)]
        alone = ", ".join(f"{sigma:g}" for sigma in by_sigma if sigma not in by_noise)
        if alone:
            notes.append(f"not shown, because only one training noise was certified: sigma = {alone}")
        claims = verdicts(CLAIMS, "cohen_training_noise", _training_quantities(by_noise))
        return Drawing(figure, pd.concat(parts, ignore_index=True), claims, notes)


def _by_sigma(runs: list[StoredRun]) -> dict[float, list[StoredRun]]:
    """The runs in order, by the sigma that they are certified with."""
    by_sigma: dict[float, list[StoredRun]] = {}
    for run in in_order(runs):
        by_sigma.setdefault(sigma_of(run), []).append(run)
    return by_sigma


def _training_quantities(compared_at: dict[float, list[StoredRun]]) -> dict[str, dict[str, Any]]:
    """The quantities of cohen_training_noise in claims.csv: ratios of ACR for each sigma of certification."""
    against_others, less_against_more = {}, {}
    for sigma, group in compared_at.items():
        trained = {training_sigma(run) or 0.0: run for run in group}
        others = [(average_radius(*rows_of(run)), noise) for noise, run in trained.items() if noise != sigma]
        less, more = [n for n in trained if n < sigma], [n for n in trained if n > sigma]
        case = f"certified with sigma = {sigma:g}"
        if others and sigma in trained:
            against_others[case] = compared(_second_over_first, trained[sigma], trained[max(others)[1]])
        if less and more:
            less_against_more[case] = compared(_second_over_first, trained[min(more)], trained[max(less)])
    other = "largest average certified radius with other training noise over that with matching noise"
    less_noise = "average certified radius trained with the next smaller noise over that with the next larger"
    return {other: against_others, less_noise: less_against_more}


def _second_over_first(radii: Values) -> float:
    """The average certified radius of the second run over that of the first."""
    first, second = mean_radii(radii)
    return _ratio(float(second), float(first))


def curve_of(run: StoredRun, end: float) -> pd.DataFrame:
    """A run's certified accuracy at radii from 0 to `end`."""
    return certified_accuracy(*rows_of(run), np.linspace(0, end, POINTS), limit_of(run))


def draw_curve(axis: Axes, curve: pd.DataFrame, i: int, name: str, *, band: bool = True) -> Curve:
    """Draw the i-th curve of an axis and its band."""
    return draw_accuracy(axis, curve, name, f"C{i}", LINES[i % len(LINES)], band=band)


def reach_of(curves: list[Curve]) -> float:
    """The right end of an axis that shows the curves down to 0."""
    return 1.05 * max(float(curve.x[-1]) for curve in curves) or 1.0


def finish(axis: Axes, end: float) -> None:
    """Set the labels and limits of an axis of curves."""
    axis.set(xlabel=RADIUS, ylabel="certified accuracy", xlim=(0, end), ylim=(0, 1))
    axis.xaxis.set_major_formatter("{x:g}")
