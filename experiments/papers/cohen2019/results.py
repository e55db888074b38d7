"""Classification runs, ours and the published ones, as certified accuracies: from rows, or from counts read again."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from experiments.papers.cohen2019.published import EXPECTED as LAYOUT
from experiments.papers.cohen2019.published import UNKNOWN, published_runs
from experiments.report.certified_accuracy import Values
from experiments.report.figure import Figure
from experiments.runs.reader import StoredRun, apart_from_noise, find_runs, noise_matches, sigma_of, training_sigma
from smoothing import Gaussian
from smoothing.radii import cohen_radius, largest_radius, lecuyer_radius, li_radius
from smoothing.statistics import clopper_pearson_lower

HERE = Path(__file__).parent
EXPECTED, CLAIMS = HERE / "expected.csv", HERE / "claims.csv"
Radius = Callable[[float, float], float]  # sigma, p_lower -> radius
BOUNDS: dict[str, Radius] = {"Cohen et al.": cohen_radius, "Li et al.": li_radius, "Lecuyer et al.": lecuyer_radius}
ROUNDING = 0.005  # of a radius with 3 significant digits, relative


class CohenFigure(Figure):
    """A figure or table of classification runs under Gaussian noise, also of the published ones.

    Runs are drawn together if they differ in the noise alone: in that of certification and that of training, with which
    the weights differ.
    """

    certifier = "Certify"
    reads = f"{Figure.reads}, or {LAYOUT}"

    def find(self, folder: Path) -> list[StoredRun]:
        return [*find_runs(folder), *published_runs(folder)]

    def usable(self, run: StoredRun) -> bool:
        right = run.identity["certifier"]["type"] == self.certifier
        return right and run.identity["noise"]["type"] == "Gaussian" and noise_matches(run)

    def drawn_as(self, run: StoredRun) -> str:
        """With other authors' method of training and network, where a run is of one."""
        name, method, network = super().drawn_as(run), run.identity.get("method"), run.identity["model"]["type"]
        return f"{name}-{method}-{network}".replace("/", "_").removesuffix(f"-{UNKNOWN}") if method else name

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)


def of_the_paper(run: StoredRun) -> bool:
    """Whether the paper's numbers can be held against a run: not where other authors trained by another method."""
    return "method" not in run.identity


def in_order(runs: list[StoredRun]) -> list[StoredRun]:
    """Runs by sigma, training noise and samples; of two that differ in weights alone, the one started last."""
    found: dict[tuple[float, float, int], StoredRun] = {}
    for run in sorted(runs, key=lambda run: str(run.record.get("started"))):
        found[(sigma_of(run), training_sigma(run) or 0.0, run.identity["certifier"]["n"])] = run
    return [found[key] for key in sorted(found)]


def tidy(runs: list[StoredRun]) -> pd.DataFrame:
    """All rows, an example each: experiment, sigma, training_sigma and the columns of the tables."""
    parts = []
    for run in in_order(runs):
        noise = {"sigma": sigma_of(run), "training_sigma": training_sigma(run)}
        parts.append(run.table.assign(experiment=run.record["config"]["name"], **noise))
    return pd.concat(parts, ignore_index=True)


def limit_of(run: StoredRun) -> float:
    """The largest radius that the run's n and alpha can certify."""
    return largest_radius(sigma_of(run), run.identity["certifier"]["n"], run.identity["certifier"]["alpha"])


def alpha_of(run: StoredRun) -> float:
    """The run's alpha; where a radius is above what that can certify, the alpha that such a radius takes.

    The authors state 0.001, but 7 of their 12 test files (2 of CIFAR-10, 5 of ImageNet) hold radii that n = 100,000
    samples give at alpha = 0.01 only.
    """
    largest = run.table["radius"].max()
    if largest <= limit_of(run) * (1 + ROUNDING):
        return float(run.identity["certifier"]["alpha"])
    return float(norm.cdf(largest / sigma_of(run)) ** run.identity["certifier"]["n"])


def alpha_notes(runs: list[StoredRun]) -> list[str]:
    """Which runs' radii do not go with the alpha that they state."""
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
    """The radius that each example would have with other n, alpha or bound: (examples,), 0 where not certified.

    No bound: that of the run's own noise, with what its grid takes off.

    The counts are rescaled to n, rounded down, "under the assumption that the relative class proportions would have
    remained constant" (Cohen et al., section 4): where n is not the run's own, a projection and no certificate.
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
    """Whether the class that selection guessed is the label, certified or not: (examples,)."""
    return (run.table["guess"] == run.table["label"]).to_numpy(dtype=bool)
