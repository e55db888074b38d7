"""Medians over the examples of center smoothing's runs, and the grouping of runs into drawings and panels.

A comparison of medians needs a certificate on more than half of the examples, and radii above 0: a run that certifies
nothing, or a constant function, fails every check.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.config.identity import identity_hash
from experiments.machine.words import counted
from experiments.papers.kumar2021.certificates import split, with_ours
from experiments.report.artefacts import SUBSTITUTES
from experiments.report.figure import Figure, named_by_center
from experiments.report.left_out import OLDER, another, not_in, trained_otherwise
from experiments.report.measured import Measured, largest_ratio, medians_in, ratio_of_medians
from experiments.runs.reader import (
    StoredRun,
    apart_from_noise,
    median_with_abstentions,
    oldest_first,
    sigma_of,
    training_sigma,
)
from smoothing import CenterDraws, CenterSettings, Metric, Noise, OutputCertificate, certificate

CLAIMS = Path(__file__).with_name("claims.csv")
PAPER_DATA = ("MNIST", "CIFAR10")  # drawn together, as in the paper's figures 5 to 7
TASKS = {
    "Autoencoder": "dimensionality reduction",
    "Reconstructor": "reconstruction",
    "BigGAN": "generator",
    "FaceGenerator": "generator of faces",
}
SPACES = {
    "Reconstructor": "measurements",
    "BigGAN": "latents",
    "FaceGenerator": "latents",
}  # of eps_in, if not pixels
EACH = ("each_eps_out", "each_smoothing_error")  # the numbers of each example; infinite: no certificate, or vacuous
METRICS = {
    "TotalVariation": "total variation distance",
    "Angular": "angular distance",
    "L2": "l2 distance",
    "LPIPS": "LPIPS distance",
    "FeatureDistance": "squared feature distance",
    "Jaccard": "Jaccard distance",
}


class CenterFigure(Figure):
    """A figure of medians over the examples of center smoothing's runs, one panel per data set and base function.

    Runs are drawn together if they differ only in data set, base function, and the noise of certification and training.
    The paper's two image data sets share a drawing. Every other data set has its own. Our runs are added to drawings of
    the paper's runs; their certifier and training may differ.

    Args:
        experiments: see `Figure`.
        metric: class of the output metric; only its runs are drawn.
    """

    noise = "Gaussian"
    papers: tuple[str, ...] = ("CenterSmoothing", "CenterSmoothingHD")  # certifiers
    ours: tuple[str, ...] = ("BalancedCenterSmoothing",)

    def __init__(self, experiments: list[str], metric: str) -> None:
        super().__init__(experiments)
        self.metrics: tuple[str, ...] = (metric,)

    def why_not(self, run: StoredRun) -> str:
        if why := another(run, "metric", *self.metrics) or another(run, "noise", self.noise):
            return why
        return another(run, "certifier", *self.papers, *self.ours) or self.why_not_compared(run)

    def why_not_compared(self, run: StoredRun) -> str:
        """Why the base function's training does not fit. By default it fits under the noise of certification."""
        why = trained_otherwise(run)
        return f"{why}; figure=center_training_noise shows such runs" if why else ""

    def drawn_as(self, run: StoredRun) -> str:
        name: str = run.identity["dataset"]["type"]
        return named_by_center("_".join(PAPER_DATA).lower() if name in PAPER_DATA else name.lower(), run)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        same = apart_from_noise(run)
        of_a_panel = ("dataset", "model", "grid")  # images have levels, measurements have none
        return {key: value for key, value in same.items() if key not in of_a_panel}

    def joined(self, groups: dict[str, list[StoredRun]]) -> dict[str, list[StoredRun]]:
        return with_ours(groups, self.setting)

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        return "" if split(runs)[0] else "there is no run of the paper's certifier to compare it with"

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([run for group in by_panel(runs).values() for run in group], runs, OLDER)


def medians_of(run: StoredRun) -> pd.DataFrame:
    """A run's medians over examples, one row for each eps_in of its table.

    Columns: sigma, h = eps_in / sigma, eps_in, eps_out, smoothing_error, largest_eps_out (over certified examples, NaN
    if there are none), examples, abstained and failed (shares of the examples), and those of `EACH`. In a median, an
    example without a certificate, or with an f_hat(x) that abstained, counts as +infinity.
    """
    rows = []
    for eps, table in run.table.groupby("eps_in"):
        status, eps_out = table["status"].to_numpy(dtype=str), table["eps_out"].to_numpy(dtype=np.float64)
        vacuous = table.get("vacuous", pd.Series(False, index=table.index)).to_numpy(dtype=bool)
        error = table["smoothing_error"].to_numpy(dtype=np.float64)
        row = _medians(status, eps_out, error, vacuous, table["index"])
        rows.append({"sigma": sigma_of(run), "h": round(float(eps) / sigma_of(run), 6), "eps_in": float(eps)} | row)
    return pd.DataFrame(rows)


def read_again(
    run: StoredRun,
    draws: Sequence[CenterDraws],
    eps: float,
    noise: Noise,
    metric: Metric,
    settings: CenterSettings,
    index: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Medians of certificates recomputed from a run's stored draws, with settings that may differ from the run's.

    Keys: the columns of `medians_of` from eps_out on; those of `EACH` if the indices of the examples are given.
    """
    medoid = run.identity["certifier"].get("center") == "medoid"
    betas = [None if medoid else metric.beta(d.base_output) for d in draws]
    given = [certificate(d, eps, noise, metric, settings, beta) for d, beta in zip(draws, betas, strict=True)]
    return medians_of_certificates(given, index)


def medians_of_certificates(given: Sequence[OutputCertificate], index: Sequence[int] | None = None) -> dict[str, Any]:
    """Medians over certificates of examples, one each. Keys: see `read_again`."""
    status = np.array([c.status for c in given], dtype=str)
    eps_out, error = np.array([c.eps_out for c in given]), np.array([c.smoothing_error for c in given])
    return _medians(status, eps_out, error, np.array([c.vacuous for c in given], dtype=bool), index)


def _medians(
    status: Any, eps_out: Any, smoothing_error: Any, vacuous: Any, index: Sequence[int] | None
) -> dict[str, Any]:
    certified, accepted = status == "certified", status != "abstained"
    found = {
        "eps_out": median_with_abstentions(eps_out, certified),
        "smoothing_error": median_with_abstentions(smoothing_error, accepted),
        "largest_eps_out": float(eps_out[certified].max()) if certified.any() else float("nan"),
        "examples": len(status),
        "abstained": float(np.mean(~accepted)),
        "failed": float(np.mean(accepted & ~certified)),
    }
    if index is None:
        return found
    each = ((eps_out, certified & ~vacuous), (smoothing_error, accepted))
    kept = [pd.Series(np.where(known, values, np.inf), index=list(index)) for values, known in each]
    return found | dict(zip(EACH, kept, strict=True))


def abstention_notes(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """A note for each row of medians in which some example has no certificate. `columns` identify the row."""
    return [
        f"{', '.join(_written(name, row[name]) for name in columns)}: of {counted(row['examples'], 'example')}, "
        f"{row['abstained']:.0%} abstained and {row['failed']:.0%} failed (both count as infinite)"
        for row in table.to_dict("records")
        if row["abstained"] or row["failed"]
    ]


def _written(name: str, value: float | str) -> str:
    return value if isinstance(value, str) else f"{name} = {value:g}"


def by_panel(runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
    """Runs by panel title: panels in the paper's order, runs sorted by sigma.

    Of runs of one certifier that differ only in weights, the latest is kept. If two base functions have the same title,
    the settings that differ are added to it.
    """
    found: dict[tuple[str, float, float, str], StoredRun] = {}
    for run in oldest_first(runs):
        certifier = run.identity["certifier"]["type"]
        found[(_base_function(run), sigma_of(run), training_sigma(run) or 0.0, certifier)] = run
    grouped: dict[str, list[StoredRun]] = {}
    for key in sorted(found):
        grouped.setdefault(key[0], []).append(found[key])
    ordered = dict(sorted(grouped.items(), key=lambda item: _place(item[1][0])))
    firsts = [group[0] for group in ordered.values()]
    return {_title(run, firsts): group for run, group in zip(firsts, ordered.values(), strict=True)}


def _base_function(run: StoredRun) -> str:
    return identity_hash({group: run.identity[group] for group in ("dataset", "model")})


def _title(run: StoredRun, among: list[StoredRun]) -> str:
    def settings(of: StoredRun) -> dict[str, Any]:
        return {f"{group}.{k}": v for group in ("dataset", "model") for k, v in of.identity[group].items()}

    own, types = settings(run), ("dataset.type", "model.type")
    alike = [other for other in map(settings, among) if all(other[name] == own[name] for name in types)]
    names = sorted({name for other in alike for name in other})
    apart = [f"{name}={own.get(name)}" for name in names if any(other.get(name) != own.get(name) for other in alike)]
    title = f"{own['dataset.type']}, {TASKS.get(own['model.type'], own['model.type'])}"
    return f"{title} ({', '.join(apart)})" if apart else title


def _place(run: StoredRun) -> tuple[int, str, int, str]:
    dataset, model = run.identity["dataset"]["type"], run.identity["model"]["type"]
    at = PAPER_DATA.index(dataset) if dataset in PAPER_DATA else len(PAPER_DATA)
    tasks = list(TASKS)
    return at, dataset, tasks.index(model) if model in tasks else len(tasks), json.dumps(run.identity["model"])


def space_of(run: StoredRun) -> str:
    """The space and units of eps_in, for an axis label."""
    return SPACES.get(run.identity["model"]["type"], "pixels in [0, 1]")


def stand_in(run: StoredRun) -> str:
    """That a run's base function is a stand-in for the paper's, for a heading. Empty if it is not."""
    substitute = SUBSTITUTES.get(run.identity["model"]["type"])
    return f"stand-in: {substitute}, not images by BigGAN" if substitute else ""


def trend_quantities(table: pd.DataFrame) -> dict[str, dict[str, Measured | float]]:
    """The quantities of section 5's claims about all curves that the table determines: by quantity, then by case.

    A step between neighbouring input radii is often smaller than the noise of the examples. So each step must only not
    fall, and the whole curve must rise by more than the noise.

    Args:
        table: columns panel, h and those of `medians_of`, sorted by eps_in. Two h are compared at eps_in that agree to
            three digits, because users round sigma = eps_in / h.
    """
    found: dict[str, dict[str, Measured | float]] = {}
    for (panel, h), curve in table.groupby(["panel", "h"], sort=False):
        case = f"{panel}, h = {h:g}"
        out, error = (list(curve[name]) for name in EACH)
        found.setdefault("largest median smoothing error over eps_out", {})[case] = ratio_of_medians(error, out)
        if len(curve) > 1:
            for name, each in (("eps_out", out), ("smoothing error", error)):
                steps = f"largest median {name} over that at the next larger eps_in"
                found.setdefault(steps, {})[case] = largest_ratio(*map(medians_in, (each[:-1], each[1:])))
                ends = f"median {name} at the smallest eps_in over that at the largest"
                found.setdefault(ends, {})[case] = ratio_of_medians(each[:1], each[-1:])
    for panel, curves in table.groupby("panel", sort=False):
        typed = curves.assign(eps_in=[float(f"{eps:.3g}") for eps in curves["eps_in"]])
        low, high = (typed[typed["h"] == h].set_index("eps_in")[EACH[0]] for h in (min(typed["h"]), max(typed["h"])))
        both = [eps for eps in high.index if eps in low.index]
        if min(typed["h"]) < max(typed["h"]) and both:
            case = f"{panel}, h = {max(typed['h']):g} over h = {min(typed['h']):g}"
            ratio = ratio_of_medians(list(high[both]), list(low[both]))
            found.setdefault("largest median eps_out at the larger h over that at the smaller", {})[case] = ratio
    return found
