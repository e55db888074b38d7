"""Certified accuracy against radius of the training methods, with the published shares as points."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.papers.training.results import (
    ACR,
    Runs,
    TrainingFigure,
    by_method,
    first_seeds,
    notes_on,
    numbers,
    verdicts_on_order,
)
from experiments.report.certified_accuracy import NOT_CORRECT, certified_radii
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing
from experiments.report.layout import head, panels
from experiments.report.symbols import NORMS, sigma_text
from experiments.report.titles import examples_text
from experiments.runs.reader import StoredRun

MOST = 5  # curves in a panel; if there are more methods, the panels have three
HEIGHT = 2.6  # inches, of a panel
PUBLISHED = "points: published, same images"
ONE_SEED = "of several trainings of one method, the first seed is drawn; the table has all"


class TrainingCurves(TrainingFigure):
    """One panel for each sigma, one curve for each method.

    Args:
        experiments: see `Figure`.
    """

    def draw(self, runs: list[StoredRun]) -> Drawing:
        all_seeds = by_method(runs)
        chosen = first_seeds(all_seeds)
        table = numbers(chosen)
        methods = list(dict.fromkeys(method for method, _ in chosen))
        parts = [methods] if len(methods) <= MOST else [methods[:3], methods[3:]]
        shown = [(sigma, part) for sigma in sorted({sigma for _, sigma in chosen}) for part in parts]
        figure, axes = panels(len(shown), HEIGHT, sharey=True)
        named = []
        for axis, (sigma, part) in zip(axes, shown, strict=True):
            points = table[(table["sigma"] == sigma) & (table["quantity"] != ACR)].dropna(subset="paper")
            named.append((axis, _draw_panel(axis, sigma, methods, part, chosen, points)))
        for axis in axes[::2]:  # at the left
            axis.set_ylabel("certified accuracy (%)")
        models = {str(run.identity["model"]["type"]) for run in chosen.values()}
        data = {str(run.identity["dataset"]["type"]) for run in chosen.values()}
        about = examples_text(table["examples"]) + (f"; {PUBLISHED}" if table["paper"].notna().any() else "")
        head(figure, f"{', '.join(sorted(models))} on {', '.join(sorted(data))}, by training method", about)
        name_curves(figure, named)
        notes = notes_on(chosen) + [ONE_SEED] * (len(chosen) < len(all_seeds))
        return Drawing(figure, table, verdicts_on_order(chosen), notes)


def _draw_panel(
    axis: Axes, sigma: float, methods: list[str], part: list[str], runs: Runs, points: pd.DataFrame
) -> list[Curve]:
    """The curves of some of the methods, each in its color, and the published shares of them."""
    curves = []
    for k, method in enumerate(methods):
        if method not in part or (method, sigma) not in runs:
            continue
        radii = certified_radii(runs[method, sigma]).to_numpy()
        ends = np.sort(radii[radii > NOT_CORRECT])  # the share falls at each of them
        x = np.concatenate([[0.0], np.repeat(ends, 2)])
        y = 100 * np.repeat(len(ends) - np.arange(len(ends) + 1), 2)[:-1] / len(radii)
        axis.plot(x, y, color=f"C{k}", linestyle=LINES[k], label=method)
        own = points[points["method"] == method]
        axis.plot(own["quantity"].astype(float), 100 * own["paper"], "o", color=f"C{k}", markersize=3)
        curves.append(Curve(x, y, method, f"C{k}"))
    end = max((float(curve.x[-1]) for curve in curves), default=1.0)
    axis.set(title=sigma_text(sigma), xlabel=f"{NORMS['l2']} radius", xlim=(0, 1.03 * end or 1), ylim=(0, 104))
    return curves
