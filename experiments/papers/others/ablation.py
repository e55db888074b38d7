"""Certified accuracy against the number of pixels that may change, under random ablation (Levine and Feizi 2020)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.report.certified_accuracy import average_radius, better_than_one_class, rows_of
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, Figure
from experiments.report.layout import head, panels
from experiments.report.left_out import another, not_in
from experiments.report.symbols import NORMS
from experiments.report.titles import examples_text, title_of
from experiments.runs.reader import StoredRun, oldest_first
from smoothing.classifier_guarantee import prediction

CLAIMS = Path(__file__).with_name("claims.csv")
MOST, MARKS = 5, "osD^v"  # curves, and their marks
MORE = f"it keeps another number of pixels; {MOST} curves are shown"
PAPERS = 45  # kept pixels of the paper's best row for MNIST


class AblationCurves(Figure):
    """One curve for each number of kept pixels, from runs of `Certify` under `Ablation`.

    A whole radius r is certified if no change of r pixels changes the class. A row that abstains certifies nothing.

    Args:
        experiments: see `Figure`.
    """

    def why_not(self, run: StoredRun) -> str:
        return another(run, "noise", "Ablation") or another(run, "certifier", "Certify")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {key: value for key, value in run.identity.items() if key not in ("noise", "training")}

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in(_newest(runs), runs, MORE)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        chosen = _newest(runs)
        figure, (axis,) = panels(1, 2.9)
        parts, curves, found = [], [], {}
        for k, run in enumerate(chosen):
            correct, radius = rows_of(run)
            counted = np.where(correct, radius, -1.0)
            radii = np.arange(0, max(1.0, counted.max()) + 2)
            accuracy = np.array([(counted >= r).mean() for r in radii])
            name = f"{_keep(run)} pixels kept"
            style: dict[str, Any] = {"color": f"C{k}", "ls": LINES[k], "marker": MARKS[k]}
            axis.plot(radii, 100 * accuracy, label=name, **style)
            curves.append(Curve(radii, 100 * accuracy, name, f"C{k}"))
            row = {"keep": _keep(run), "examples": len(run.table), "ACR": average_radius(correct, radius)}
            row["accuracy of Predict"] = predicted_right(run.table, run.identity["certifier"]["alpha"])
            row["median radius"] = float(np.median(np.maximum(counted, 0)))
            parts.append(pd.DataFrame({"radius": radii, "accuracy": accuracy}).assign(**row))
            found[_keep(run)] = row | {"accuracy": accuracy[0], "holds": better_than_one_class(run)}
        table = pd.concat(parts, ignore_index=True)
        axis.set(
            xlabel=f"{NORMS['l0']} radius (pixels)", ylabel="certified accuracy (%)", ylim=(0, 104), xlim=(0, None)
        )
        name = str(chosen[0].record["config"]["name"])
        head(figure, f"{title_of(name.removesuffix('_ablation'))}, random ablation", examples_text(table["examples"]))
        name_curves(figure, [(axis, curves)])
        notes = [
            f"{keep} kept: accuracy {row['accuracy']:.1%} at radius 0, {row['accuracy of Predict']:.1%} of Predict, "
            f"median radius {row['median radius']:g}, ACR {row['ACR']:.2f}"
            for keep, row in found.items()
        ]
        return Drawing(figure, table, _verdicts(chosen[0], found), notes)


def predicted_right(table: pd.DataFrame, alpha: float) -> float:
    """The share of examples that Predict classifies correctly from the same counts, at level alpha for each.

    The paper prints this accuracy. It is above certified accuracy at radius 0, which needs more than half of the
    votes. If another class has more votes than the one that n0 samples chose, the example counts as wrong.

    Args:
        table: rows of Certify, with label, guess, n_a, n_b and n.
        alpha: failure probability of each prediction.
    """
    right = [
        row.guess == row.label
        and row.n_a > row.n_b
        and prediction(row.guess, row.n_a, row.n_b, row.n, alpha).prediction == row.label
        for row in table.itertuples()
    ]
    return float(np.mean(right))


def _newest(runs: list[StoredRun]) -> list[StoredRun]:
    """The newest run of each number of kept pixels, the smallest numbers first."""
    by_keep = {_keep(run): run for run in oldest_first(runs)}
    return [by_keep[keep] for keep in sorted(by_keep)][:MOST]


def _keep(run: StoredRun) -> int:
    return int(run.identity["noise"]["keep"])


def _verdicts(run: StoredRun, found: dict[int, dict[str, Any]]) -> pd.DataFrame:
    """The paper's numbers, which are on MNIST, beside those with as many kept pixels."""
    if run.identity["dataset"]["type"] != "MNIST" or PAPERS not in found:
        return pd.DataFrame()
    row = found[PAPERS]
    ours = {name: row[name] for name in ("median radius", "accuracy of Predict")}
    case = f"{PAPERS} pixels kept"
    return verdicts(
        CLAIMS, "ablation_curves", {name: {case: value if row["holds"] else np.nan} for name, value in ours.items()}
    )
