"""Certified accuracy of classification runs, ours or published: from their rows, or recomputed from counts."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from experiments.papers.cohen2019.published import EXPECTED as LAYOUT
from experiments.papers.cohen2019.published import UNKNOWN, published_runs
from experiments.report.certified_accuracy import Values
from experiments.report.figure import Figure
from experiments.report.left_out import OLDER, another, not_in, trained_otherwise
from experiments.runs.reader import StoredRun, apart_from_noise, find_runs, oldest_first, sigma_of, training_sigma
from smoothing import Gaussian
from smoothing.radii import cohen_radius, largest_radius, lecuyer_radius, li_radius
from smoothing.statistics import clopper_pearson_lower

HERE = Path(__file__).parent
EXPECTED, CLAIMS = HERE / "expected.csv", HERE / "claims.csv"
Radius = Callable[[float, float], float]  # sigma, p_lower -> radius
BOUNDS: dict[str, Radius] = {"Cohen et al.": cohen_radius, "Li et al.": li_radius, "Lecuyer et al.": lecuyer_radius}
ROUNDING = 0.005  # relative rounding error of a radius with 3 significant digits


class CohenFigure(Figure):
    """A figure or table of classification runs under Gaussian noise, ours or published.

    Runs are drawn together if they differ only in the noise of certification, the noise of training and therefore the
    weights.
    """

    certifier = "Certify"
    reads = f"{Figure.reads}, or {LAYOUT}"

    def find(self, folder: Path) -> list[StoredRun]:
        return [*find_runs(folder), *published_runs(folder)]

    def why_not(self, run: StoredRun) -> str:
        if why := another(run, "certifier", self.certifier) or another(run, "noise", "Gaussian"):
            return why
        why = trained_otherwise(run)
        return f"{why}; figure=cohen_training_noise shows such runs" if why else ""

    def drawn_as(self, run: StoredRun) -> str:
        """The experiment's name. Runs of other authors add their training method and network."""
        name, method, network = super().drawn_as(run), run.identity.get("method"), run.identity["model"]["type"]
        return f"{name}-{method}-{network}".replace("/", "_").removesuffix(f"-{UNKNOWN}") if method else name

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in(in_order(runs), runs, OLDER)


def of_the_paper(run: StoredRun) -> bool:
    """Whether a run can be compared with the paper's numbers. False if others trained it by another method."""
    return "method" not in run.identity


def in_order(runs: list[StoredRun]) -> list[StoredRun]:
    """Runs sorted by sigma, training noise and samples. Of runs that differ only in weights, the latest is kept."""
    found: dict[tuple[float, float, int], StoredRun] = {}
    for run in oldest_first(runs):
        found[(sigma_of(run), training_sigma(run) or 0.0, run.identity["certifier"]["n"])] = run
    return [found[key] for key in sorted(found)]


def nearest(runs: list[StoredRun], sigma: float) -> StoredRun:
    """The run whose sigma is nearest, as `in_order` keeps them."""
    return min(in_order(runs), key=lambda run: abs(sigma_of(run) - sigma))


def tidy(runs: list[StoredRun]) -> pd.DataFrame:
    """All rows, one per example: experiment, sigma, training_sigma and the columns of the tables."""
    parts = []
    for run in in_order(runs):
        noise = {"sigma": sigma_of(run), "training_sigma": training_sigma(run)}
        parts.append(run.table.assign(experiment=run.record["config"]["name"], **noise))
    return pd.concat(parts, ignore_index=True)


def limit_of(run: StoredRun) -> float:
    """The largest radius that the run's n and alpha can certify."""
    return largest_radius(sigma_of(run), run.identity["certifier"]["n"], run.identity["certifier"]["alpha"])


def alpha_of(run: StoredRun) -> float:
    """The run's alpha. If a radius is too large for it, the alpha that the radius requires.

    The authors state 0.001, but 7 of their 12 test files (2 of CIFAR-10, 5 of ImageNet) have radii that n = 100,000
    samples can only certify at alpha = 0.01.
    """
    largest = run.table["radius"].max()
    if largest <= limit_of(run) * (1 + ROUNDING):
        return float(run.identity["certifier"]["alpha"])
    return float(scipy.stats.norm.cdf(largest / sigma_of(run)) ** run.identity["certifier"]["n"])


def alpha_notes(runs: list[StoredRun]) -> list[str]:
    """One note for each run whose radii contradict its stated alpha."""
    notes = []
    for run in runs:
        stated, largest = run.identity["certifier"]["alpha"], run.table["radius"].max()
        if alpha_of(run) != stated:
            trained = f"trained with sigma = {training_sigma(run) or 0:g}, certified with {sigma_of(run):g}"
            notes.append(
                f"{trained}: radii up to {largest:g} fit alpha = {alpha_of(run):.1g}, not the stated {stated:g}"
            )
    return notes


def radii_from_counts(run: StoredRun, n: int, alpha: float, bound: Radius | None = None) -> Values:
    """The radius of each example with another n, alpha or bound: (examples,), 0 where not certified.

    Without a bound, the radius is that of the run's noise, including the reduction for its grid.

    The counts are rescaled to n and rounded down, "under the assumption that the relative class proportions would have
    remained constant" (Cohen et al., section 4). If n is not the run's own, the result is a projection, not a
    certificate.
    """
    noise = Gaussian(sigma_of(run), run.identity.get("grid"))

    @cache
    def radius(n_a: int, drawn: int) -> float:
        p_lower = clopper_pearson_lower(n_a * n // drawn, n, alpha) if drawn else 0.0
        if p_lower <= 0.5:
            return 0.0
        return bound(sigma_of(run), p_lower) if bound else noise.radius(p_lower)

    counts = zip(run.table["n_a"].tolist(), run.table["n"].tolist(), strict=True)
    return np.array([radius(n_a, drawn) for n_a, drawn in counts])


def selected_correctly(run: StoredRun) -> NDArray[np.bool_]:
    """Whether the class chosen by the selection samples is the label, certified or not: (examples,)."""
    return (run.table["guess"] == run.table["label"]).to_numpy(dtype=bool)
