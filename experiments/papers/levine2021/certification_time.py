"""Figure 6 of Levine and Feizi: certification time per image against sigma."""

from math import nan

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from experiments.machine.words import device_text
from experiments.papers.levine2021.curves import STYLES
from experiments.papers.levine2021.results import (
    DENOISED,
    Classifier,
    LevineFigure,
    classifiers,
    denoiser_of,
    levine_verdicts,
)
from experiments.report.certified_accuracy import better_than_one_class
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import Drawing
from experiments.report.layout import head
from experiments.report.left_out import not_in
from experiments.report.measured import Measured
from experiments.report.symbols import SIGMA
from experiments.report.titles import title_of
from experiments.runs.reader import StoredRun

OTHERS = "another run of its noise and sigma is timed"
MARKERS = {"uniform": "s", "SSN": "^", "DSSN": "o"}
PAPERS_LEVELS, PAPERS_SIGMA = 255, 3.5  # levels of the paper's images; sigma of the two times that it prints


class CertificationTime(LevineFigure):
    """Fig. 6: mean seconds per fully certified image, on a logarithmic axis.

    Times are compared with the paper's only if all runs are better than one class for every example.

    It shows means because the paper and its authors' files contain only means. If a noise and sigma has base
    classifiers with and without stability training, those without are timed.
    """

    def why_not(self, run: StoredRun) -> str:
        if why := super().why_not(run) or (DENOISED if denoiser_of(run) else ""):
            return why
        return "" if (run.table["n"] > 0).any() else "no example was certified in full, so there is no time"

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([run for _, run in _timed(runs).values()], runs, OTHERS)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        timed = _timed(runs)
        table = pd.DataFrame([_row(classifier, run) for classifier, run in timed.values()])
        figure, axis = plt.subplots()
        curves = []
        for method, part in table.groupby("method", sort=False):
            color, line = STYLES[method]
            (drawn,) = axis.plot(part["sigma"], part["mean_seconds"], color=color, ls=line, label=method)
            drawn.set(marker=MARKERS[method], markerfacecolor="none")
            curves.append(Curve(part["sigma"].to_numpy(), part["mean_seconds"].to_numpy(), method, color))
        axis.set(xlabel=f"noise level {SIGMA}", ylabel="mean seconds per image", yscale="log", xlim=(0, None))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.grid(which="minor", alpha=0.15)
        name = self.drawn_as(runs[0])
        head(figure, f"{title_of(name)}: time to certify an image")
        name_curves(figure, [(axis, curves)])
        ratios = _ratios(table)
        levels = {int(k) for _, run in timed.values() if "levels" in run.table for k in run.table["levels"]}
        void = 0.0 if all(better_than_one_class(run) for _, run in timed.values()) else nan
        quantities = _quantities(table, ratios, name, void) if levels == {PAPERS_LEVELS} else {}
        notes = [*_ratio_notes(ratios), *_machine_notes(table)]
        if levels != {PAPERS_LEVELS}:
            notes.append(f"not compared with the paper's times: its DSSN times are for {PAPERS_LEVELS} levels per unit")
        return Drawing(figure, table, levine_verdicts("dssn_time", quantities), notes)


def _timed(runs: list[StoredRun]) -> dict[tuple[str, float], tuple[Classifier, StoredRun]]:
    """The classifier and run whose time is shown, by method and sigma."""
    timed: dict[tuple[str, float], tuple[Classifier, StoredRun]] = {}
    for classifier, run in classifiers(runs).items():
        timed.setdefault((classifier.method, classifier.sigma), (classifier, run))
    return timed


def _row(classifier: Classifier, run: StoredRun) -> dict[str, object]:
    whole = run.table[run.table["n"] > 0]  # estimation is skipped if selection chose a wrong class
    evaluations = whole["n"] + whole.get("n0", 0)
    return {
        "method": classifier.method,
        "stability_training": classifier.stability,
        "sigma": classifier.sigma,
        "mean_seconds": float(whole["seconds"].mean()),
        "evaluations": int(evaluations.median()),
        "examples": len(whole),
        "device": device_text(str(run.record.get("device", "unknown"))),
    }


def _ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Ratios of uniform noise to DSSN at each sigma that has both: mean seconds, as in the paper, and evaluations."""
    by = table.set_index(["method", "sigma"])
    both = [s for s in table["sigma"].unique() if {("uniform", s), ("DSSN", s)} <= set(by.index)]
    rows = [
        {
            "sigma": sigma,
            "seconds": by.loc[("uniform", sigma), "mean_seconds"] / by.loc[("DSSN", sigma), "mean_seconds"],
            "evaluations": by.loc[("uniform", sigma), "evaluations"] / by.loc[("DSSN", sigma), "evaluations"],
        }
        for sigma in sorted(both)
    ]
    return pd.DataFrame(rows, columns=["sigma", "seconds", "evaluations"])


def _quantities(table: pd.DataFrame, ratios: pd.DataFrame, name: str, void: float) -> dict[str, dict[str, Measured]]:
    """The quantities of dssn_time in claims.csv. `void` is NaN if the runs say nothing, else 0."""
    at = ratios[ratios["sigma"] == PAPERS_SIGMA]
    ratio = {f"{name}": Measured(float(at["seconds"].iloc[0]), void)} if len(at) else {}
    dssn = table[table["method"] == "DSSN"]
    slope = {}
    if len(dssn) > 1:
        logs = np.polyfit(np.log(dssn["sigma"]), np.log(dssn["mean_seconds"]), 1)
        case = f"{name}, sigma = {dssn['sigma'].min():g} to {dssn['sigma'].max():g}"
        slope = {case: Measured(float(logs[0]), void)}
    return {
        "mean seconds of uniform noise over those of DSSN at sigma = 3.5": ratio,
        "slope of log seconds of DSSN against log sigma": slope,
    }


def _ratio_notes(ratios: pd.DataFrame) -> list[str]:
    return [
        f"sigma = {r.sigma:g}: the ratio of uniform noise to DSSN is {r.seconds:.3g} in mean seconds, "
        f"{r.evaluations:.3g} in evaluations of the base classifier"
        for r in ratios.itertuples()
    ]


def _machine_notes(table: pd.DataFrame) -> list[str]:
    """The hardware of each method, from run.json."""
    return [
        f"{method} ran on: {'; '.join(sorted(part['device'].unique()))}"
        for method, part in table.groupby("method", sort=False)
    ]
