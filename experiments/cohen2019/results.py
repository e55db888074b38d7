"""Classification runs, ours and the published ones, as certified accuracies: from rows, or from counts read again."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from experiments.cohen2019.published import SUFFIX, published_runs
from experiments.figures import Figure
from experiments.report import Run, find_runs
from smoothing.radii import cohen_radius, largest_radius
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper

Values = NDArray[np.float64]
Radius = Callable[[float, float], float]  # sigma, p_lower -> radius
ROUNDING = 0.005  # of a radius with 3 significant digits, relative
OUTSIDE = 0.025  # on each side of the binomial confidence band over test examples: 95% in all


class CohenFigure(Figure):
    """A figure or table of classification runs under Gaussian noise, also of the published ones.

    Runs are drawn together if they differ in the noise alone: in that of certification and that of training, with which
    the weights differ.
    """

    certifier = "Certify"

    def find(self, folder: Path) -> list[Run]:
        return [*find_runs(folder), *published_runs(folder)]

    def usable(self, run: Run) -> bool:
        right = run.identity["certifier"]["type"] == self.certifier
        return right and run.identity["noise"]["type"] == "Gaussian" and matched(run)

    def setting(self, run: Run) -> dict[str, Any]:
        same = super().setting(run)
        if "training" in same:
            kept = {key: value for key, value in same["training"].items() if key not in ("noise", "weights")}
            same["training"] = kept
        return same


def experiment_of(run: Run) -> str:
    """The experiment that a run belongs to, whether ours or published."""
    name: str = run.record["config"]["name"]
    return name.removesuffix(SUFFIX)


def sigma_of(run: Run) -> float:
    return float(run.identity["noise"]["sigma"])


def training_sigma(run: Run) -> float | None:
    """Of the noise that the base classifier was trained with: 0 if without, None if the run does not say."""
    if "training" not in run.identity:
        return None
    noise = run.identity["training"]["noise"]
    return float(noise["sigma"]) if noise else 0.0


def in_order(runs: list[Run]) -> list[Run]:
    """Runs by sigma, training noise and samples; of two that differ in weights alone, the one started last."""
    found: dict[tuple[float, float, int], Run] = {}
    for run in sorted(runs, key=lambda run: str(run.record.get("started"))):
        found[(sigma_of(run), training_sigma(run) or 0.0, run.identity["certifier"]["n"])] = run
    return [found[key] for key in sorted(found)]


def matched(run: Run) -> bool:
    """Whether the base classifier was trained with the noise of certification, as far as the run says."""
    trained = training_sigma(run)
    return trained is None or trained == sigma_of(run)


def tidy(runs: list[Run]) -> pd.DataFrame:
    """All rows, an example each: experiment, sigma, training_sigma and the columns of the tables."""
    parts = []
    for run in in_order(runs):
        noise = {"sigma": sigma_of(run), "training_sigma": training_sigma(run)}
        parts.append(run.table.assign(experiment=run.record["config"]["name"], **noise))
    return pd.concat(parts, ignore_index=True)


def limit_of(run: Run) -> float:
    """The largest radius that the run's n and alpha can certify."""
    return largest_radius(sigma_of(run), run.identity["certifier"]["n"], run.identity["certifier"]["alpha"])


def alpha_of(run: Run) -> float:
    """The run's alpha; where a radius is above what that can certify, the alpha that such a radius takes.

    The authors state 0.001, but two of their files hold radii that n = 100,000 samples give at alpha = 0.01 only.
    """
    largest = run.table["radius"].max()
    if largest <= limit_of(run) * (1 + ROUNDING):
        return float(run.identity["certifier"]["alpha"])
    return float(norm.cdf(largest / sigma_of(run)) ** run.identity["certifier"]["n"])


def alpha_notes(runs: list[Run]) -> list[str]:
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


def rows_of(run: Run) -> tuple[NDArray[np.bool_], Values]:
    """Whether each example is correct, and its radius: (examples,) each."""
    return run.table["correct"].to_numpy(dtype=bool), run.table["radius"].to_numpy(dtype=np.float64)


def certified_accuracy(
    correct: NDArray[np.bool_], radius: Values, at: Values, largest: float = float("inf")
) -> pd.DataFrame:
    """The share of examples that are correct, not abstained, and certified at each radius of `at`.

    Columns radius, accuracy, low, high, examples; low and high are the two-sided 95% Clopper-Pearson band of a share of
    so many test examples, at each radius on its own.
    """
    certified = np.array([int(np.sum(correct & (radius >= r))) for r in at])
    bands = np.array([share_band(int(k), len(radius)) for k in certified])
    bands[(certified == 0) & (at > largest)] = 0
    return pd.DataFrame(
        {
            "radius": at,
            "accuracy": certified / len(radius),
            "low": bands[:, 0],
            "high": bands[:, 1],
            "examples": len(radius),
        }
    )


def radii_from_counts(run: Run, n: int, alpha: float, bound: Radius = cohen_radius) -> Values:
    """The radius that each example would have with other n, alpha or bound: (examples,), 0 where not certified.

    The counts are rescaled to n, rounded down, "under the assumption that the relative class proportions would have
    remained constant" (Cohen et al., section 4): where n is not the run's own, a projection and no certificate.
    """

    @cache
    def radius(n_a: int, drawn: int) -> float:
        p_lower = clopper_pearson_lower(n_a * n // drawn, n, alpha) if drawn else 0.0
        return bound(sigma_of(run), p_lower) if p_lower > 0.5 else 0.0

    counts = zip(run.table["n_a"].tolist(), run.table["n"].tolist(), strict=True)
    return np.array([radius(n_a, drawn) for n_a, drawn in counts])


def selected_correctly(run: Run) -> NDArray[np.bool_]:
    """Whether the class that selection guessed is the label, certified or not: (examples,)."""
    return (run.table["guess"] == run.table["label"]).to_numpy(dtype=bool)


def average_radius(correct: NDArray[np.bool_], radius: Values) -> float:
    """Average certified radius: the area under the curve of certified accuracy."""
    return float(np.mean(np.where(correct, radius, 0.0)))


@cache
def share_band(k: int, n: int) -> tuple[float, float]:
    """The two-sided 95% Clopper-Pearson interval of a share of k among n > 0."""
    return clopper_pearson_lower(k, n, OUTSIDE), clopper_pearson_upper(k, n, OUTSIDE)
