"""Certified intervals of a regression: the median (Chiang et al. 2020) beside the mean (Kumar et al. 2020)."""

from pathlib import Path
from typing import Any

import pandas as pd

from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, Figure
from experiments.report.layout import head, panels
from experiments.report.left_out import OLDER, another, not_in
from experiments.report.measured import Measured, ratio_of_medians
from experiments.report.symbols import IN, NORMS, sigma_text
from experiments.report.titles import data_title, examples_text
from experiments.runs.input_space import input_space
from experiments.runs.reader import StoredRun, apart_from_noise, median_with_abstentions, oldest_first, sigma_of

CLAIMS = Path(__file__).with_name("claims.csv")
NAMES = ("median", "mean", "mean, band of the paper")


class RegressionBounds(Figure):
    """Median width of the certified intervals against eps_in, one panel for each noise level.

    One curve for each of `NAMES`, from runs of `MedianSmoothing` and `MeanSmoothing` of the same function. A row
    without a certificate counts as infinitely wide.

    Args:
        experiments: see `Figure`.
    """

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "certifier", "MedianSmoothing", "MeanSmoothing")
        return kind or ("" if run.identity["certifier"].get("p", 0.5) == 0.5 else "it certifies another quantile")

    def drawn_as(self, run: StoredRun) -> str:
        return str(run.identity["dataset"]["type"]).lower()

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {key: value for key, value in apart_from_noise(run).items() if key != "certifier"}

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in(list(_newest(runs).values()), runs, OLDER)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        chosen = _newest(runs)
        sigmas = sorted({sigma for sigma, _ in chosen})
        figure, axes = panels(len(sigmas), 2.6)
        rows, named = [], []
        for axis, sigma in zip(axes, sigmas, strict=True):
            curves = []
            for k, name in enumerate(name for name in NAMES if (sigma, name) in chosen):
                medians = _medians(chosen[sigma, name])
                x, y = medians.index.to_numpy(float), medians.to_numpy(float)
                axis.plot(x, y, color=f"C{k}", linestyle=LINES[k], label=name)
                curves.append(Curve(x, y, name, f"C{k}"))
                row = {"sigma": sigma, "certified": name, "n": chosen[sigma, name].identity["certifier"]["n"]}
                rows += [row | {"eps_in": eps, "width": width} for eps, width in medians.items()]
            space = input_space(chosen[sigma, curves[0].name].record)
            axis.set(title=sigma_text(sigma), xlabel=f"{IN} ({NORMS[space.norm]}, {space.units})", ylim=(0, None))
            named.append((axis, curves))
        axes[0].set_ylabel("median width")
        table = pd.DataFrame(rows)
        counts = [run.table["index"].nunique() for run in chosen.values()]
        about = f"{examples_text(counts)}; widths in units of the output"
        head(figure, f"Certified intervals, {data_title(self.drawn_as(runs[0]))}", about)
        name_curves(figure, named)
        claims = verdicts(CLAIMS, "regression_bounds", _ratios(chosen, sigmas))
        return Drawing(figure, table, claims, _notes(table))


def _name(run: StoredRun) -> str:
    own = run.identity["certifier"]
    if own["type"] == "MedianSmoothing":
        return NAMES[0]
    return NAMES[2] if own["bound"] == "paper" else NAMES[1]


def _newest(runs: list[StoredRun]) -> dict[tuple[float, str], StoredRun]:
    """The newest run of each noise level and name."""
    return {(sigma_of(run), _name(run)): run for run in oldest_first(runs)}


def _medians(run: StoredRun) -> "pd.Series[float]":
    """The median width by eps_in."""
    found = {
        float(eps): median_with_abstentions(rows["width"].to_numpy(float), (rows["status"] == "certified").to_numpy())
        for eps, rows in run.table.groupby("eps_in")
    }
    return pd.Series(found)


def _widths(run: StoredRun) -> "dict[float, pd.Series[float]]":
    """The widths by eps_in, and then by index; infinite without a certificate."""
    table = run.table.assign(width=run.table["width"].where(run.table["status"] == "certified", float("inf")))
    return {float(eps): rows.set_index("index")["width"] for eps, rows in table.groupby("eps_in")}


def _ratios(chosen: dict[tuple[float, str], StoredRun], sigmas: list[float]) -> dict[str, dict[str, Measured]]:
    """The largest ratio of median widths over eps_in: the median's to the mean's, and the mean's to the paper's."""
    found: dict[str, dict[str, Measured]] = {}
    for quantity, above, below in (
        ("largest ratio of median widths, median / mean", NAMES[0], NAMES[1]),
        ("largest ratio of median widths, our band / the paper's", NAMES[1], NAMES[2]),
    ):
        for sigma in sigmas:
            if (sigma, above) in chosen and (sigma, below) in chosen:
                one, other = (_widths(chosen[sigma, name]) for name in (above, below))
                both = sorted(one.keys() & other.keys())
                ratio = ratio_of_medians([one[eps] for eps in both], [other[eps] for eps in both])
                found.setdefault(quantity, {})[f"sigma = {sigma:g}"] = ratio
    return found


def _notes(table: pd.DataFrame) -> list[str]:
    wide = table.pivot(index=["sigma", "eps_in"], columns="certified", values="width")
    return [
        f"sigma = {sigma:g}, eps_in = {eps:g}: " + ", ".join(f"{name} {row[name]:.1f}" for name in NAMES if name in row)
        for (sigma, eps), row in wide.iterrows()
    ]
