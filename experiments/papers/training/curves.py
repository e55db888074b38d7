"""Certified accuracy against radius of the training methods, with the published shares as points."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from experiments.papers.training.results import (
    ACR,
    Runs,
    TrainingFigure,
    by_method,
    notes_on,
    numbers,
    verdicts_on,
)
from experiments.report.certified_accuracy import NOT_CORRECT, certified_radii
from experiments.report.figure import LINES, Drawing, legend_entries
from experiments.runs.reader import StoredRun

PUBLISHED = "published, same images"
WIDTH, HEIGHT = 3.0, 2.9  # inches, of a panel


class TrainingCurves(TrainingFigure):
    """One panel for each sigma, one curve for each method.

    Args:
        experiments: see `Figure`.
    """

    def draw(self, runs: list[StoredRun]) -> Drawing:
        chosen = by_method(runs)
        table = numbers(chosen)
        sigmas = sorted({sigma for _, sigma in chosen})
        methods = list(dict.fromkeys(method for method, _ in chosen))
        size = (WIDTH * len(sigmas), HEIGHT)
        figure, panels = plt.subplots(1, len(sigmas), figsize=size, sharey=True, squeeze=False, layout="constrained")
        for axis, sigma in zip(panels[0], sigmas, strict=True):
            _draw_panel(axis, sigma, methods, chosen, table[(table["sigma"] == sigma) & (table["quantity"] != ACR)])
        panels[0, 0].set_ylabel("certified accuracy (%)")
        entries = legend_entries(figure)
        entries = {name: entries[name] for name in (*methods, PUBLISHED) if name in entries}
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=len(entries))
        return Drawing(figure, table, verdicts_on(chosen, table), notes_on(chosen))


def _draw_panel(axis: Axes, sigma: float, methods: list[str], runs: Runs, points: pd.DataFrame) -> None:
    end = 0.0
    for k, method in enumerate(methods):
        if (method, sigma) not in runs:
            continue
        radii = certified_radii(runs[method, sigma])
        steps = radii[radii > NOT_CORRECT].sort_values()
        end = max(end, float(steps.max()) if len(steps) else 0.0)
        shares = [100 * (len(steps) - at) / len(radii) for at in range(len(steps) + 1)]
        axis.step([0, *steps], shares, where="pre", color=f"C{k}", linestyle=LINES[k], label=method)
        own = points[(points["method"] == method) & points["paper"].notna()]
        axis.plot(own["quantity"].astype(float), 100 * own["paper"], "o", color=f"C{k}", markersize=3)
    if points["paper"].notna().any():
        axis.plot([], [], "o", color="0.4", markersize=3, label=PUBLISHED)
    axis.set(title=rf"$\sigma$ = {sigma:g}", xlabel=r"$\ell_2$ radius", xlim=(0, 1.03 * end or 1), ylim=(0, 102))
