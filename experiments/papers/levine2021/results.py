"""Classification runs under the three l1 noises: their smoothed classifiers and certified accuracy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.papers.levine2021.published import EXPECTED, published_runs
from experiments.report.certified_accuracy import Values, certified_accuracy, one_class_notes, rows_of
from experiments.report.claims import verdicts
from experiments.report.figure import Figure
from experiments.report.left_out import another, not_in
from experiments.report.titles import numbers_text
from experiments.runs.reader import StoredRun, apart_from_noise, experiment_of, find_runs, sigma_of, started
from smoothing import Uniform

HERE = Path(__file__).parent
METHODS = {"Uniform": "uniform", "Splitting": "SSN", "DeterministicSplitting": "DSSN"}  # by class of noise
DENOISERS = {"mse": "MSE", "stability": "stability", "mse_retrain": "MSE, classifier retrained"}  # by trainer.loss
FEWER = "another run of the same classifier has more samples, or as many and is newer"
DENOISED = "it has a denoiser; figure=dssn_denoiser shows such runs"
CERTIFIERS = {"uniform": "Certify", "SSN": "Certify", "DSSN": "ExactCertify"}


@dataclass(frozen=True, order=True)
class Classifier:
    """A smoothed classifier.

    Attributes:
        method: uniform, SSN or DSSN.
        denoiser: training of the denoiser in front of the base classifier, a value of `DENOISERS`. Empty without one.
        stability: whether the base classifier had stability training (Li et al. 2019).
        sigma: noise level, lambda / sqrt(3), in the units of the input.
    """

    method: str
    denoiser: str
    stability: bool
    sigma: float

    @property
    def label(self) -> str:
        """Its name in the paper's table 1, without sigma."""
        return self.method + " + denoiser" * bool(self.denoiser) + " + stability" * self.stability


class LevineFigure(Figure):
    """A figure or table that compares noises, with runs of several experiments.

    Runs of one data set and training method are drawn together. Their noise, sigma, stability training and number of
    samples may differ. The drawing is named by the common prefix of the experiments' names.
    """

    reads = f"{Figure.reads}, or {EXPECTED}"

    def find(self, folder: Path) -> list[StoredRun]:
        return [*find_runs(folder), *published_runs(folder)]

    def why_not(self, run: StoredRun) -> str:
        if why := another(run, "noise", *METHODS):
            return why
        if why := another(run, "certifier", CERTIFIERS[METHODS[run.identity["noise"]["type"]]]):
            return why
        return "" if trained_for(run) else "trained with another noise than it is certified with"

    def drawn_as(self, run: StoredRun) -> str:
        name = experiment_of(run)
        published = run.record["config"]["name"].removeprefix(name)  # empty for our own runs
        return (name.removesuffix("_denoised").rpartition("_")[0] or name) + published

    def setting(self, run: StoredRun) -> dict[str, Any]:
        same = apart_from_noise(run, "stability")
        of_a_noise = ("certifier", "grid")  # splitting noise is exact without a grid
        return {key: value for key, value in same.items() if key not in of_a_noise}

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in(list(classifiers(runs).values()), runs, FEWER)


def trained_for(run: StoredRun) -> bool:
    """Whether the base classifier was trained under the noise of certification, as far as the run records it."""
    noise = run.identity["noise"]
    return bool(run.identity.get("training", {}).get("noise", noise) == noise)


def denoiser_of(run: StoredRun) -> str:
    """The training of the denoiser in front of the base classifier, a value of `DENOISERS`. Empty without one."""
    if run.identity["model"]["type"] != "Denoised":
        return ""
    return DENOISERS[run.identity.get("training", {}).get("loss", "mse")]


def classifiers(runs: list[StoredRun]) -> dict[Classifier, StoredRun]:
    """The run of each smoothed classifier, sorted. Of several, the one with the most samples; of those, the latest."""
    found: dict[Classifier, StoredRun] = {}
    for run in sorted(runs, key=lambda run: (run.identity["certifier"].get("n", 0), started(run))):
        stability = run.identity.get("training", {}).get("stability", 0.0) > 0
        method = METHODS[run.identity["noise"]["type"]]
        found[Classifier(method, denoiser_of(run), stability, sigma_of(run))] = run
    order = list(CERTIFIERS)
    return {c: found[c] for c in sorted(found, key=lambda c: (order.index(c.method), c))}


def lambda_of(run: StoredRun) -> float:
    """The largest possible certified radius: lambda (p_A - p_B) <= lambda = sqrt(3) sigma."""
    return Uniform(sigma_of(run)).lam


def accuracy_at(run: StoredRun, radii: Values) -> pd.DataFrame:
    """Certified accuracy at l1 radii: the share of examples with the correct class and at least this radius.

    Columns: see `certified_accuracy`.
    """
    return certified_accuracy(*rows_of(run), radii, lambda_of(run))


def cleanly_correct(run: StoredRun) -> "pd.Series[float]":
    """1 for each example that the smoothed classifier classifies correctly, certified or not, by its index; else 0.

    For a randomised certificate that abstains, the class is the one chosen by the selection samples. The authors' code
    also returns it.
    """
    table = run.table
    right = table["guess" if "guess" in table else "predict"] == table["label"]
    return pd.Series(right.to_numpy(dtype=np.float64), index=table["index"])


def clean_accuracy(run: StoredRun) -> float:
    """The share of examples that the smoothed classifier classifies correctly, certified or not."""
    return float(cleanly_correct(run).mean())


def example_notes(runs: dict[Classifier, StoredRun]) -> list[str]:
    """A note if the runs have different test examples, and one on runs that say nothing."""
    notes = one_class_notes({f"{c.label} at sigma = {c.sigma:g}": run for c, run in runs.items()})
    counts = sorted({len(run.table) for run in runs.values()})
    if len({tuple(run.table["index"]) for run in runs.values()}) == 1:
        return notes
    return [f"the runs have different test examples, {numbers_text(counts)} each", *notes]


def levine_verdicts(figure: str, ours: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Verdicts on the paper's claims about a figure: see `verdicts`."""
    return verdicts(HERE / "claims.csv", figure, ours)
