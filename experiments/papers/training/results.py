"""Runs of LeNet on MNIST, by training method and noise, and their numbers beside the published ones."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.report.certified_accuracy import (
    Values,
    average_radius,
    better_than_one_class,
    certified_accuracy,
    compared,
    mean_radii,
    rows_of,
)
from experiments.report.claims import all_rows, judged, number_rows, verdicts
from experiments.report.figure import Figure
from experiments.report.left_out import OLDER, another, not_in, trained_otherwise
from experiments.report.measured import Measured
from experiments.runs.reader import StoredRun, oldest_first, sigma_of

HERE = Path(__file__).parent
EXPECTED, CLAIMS = HERE / "expected.csv", HERE / "claims.csv"
ACR, SHARE = "ACR", "certified accuracy"
EVERY, ALL = "every 20th", "all"  # images of the published numbers
N, ALPHA = 100_000, 0.001  # of the published certificates
TRAINERS = {
    "Trainer": "Gaussian",
    "StabilityTrainer": "stability",
    "ConsistencyTrainer": "consistency",
    "MacerTrainer": "MACER",
    "SmoothAdvTrainer": "SmoothAdv",
    "SmoothMixTrainer": "SmoothMix",
}
BETTER = ("Gaussian", "stability", "consistency", "SmoothAdv", "SmoothMix")  # each certifies more than the one before
EPOCHS = 90  # of every published training
WHERE = "the published logs"
Runs = dict[tuple[str, float], StoredRun]  # by method, with the seed of training if it is a further one, and sigma


class TrainingFigure(Figure):
    """A figure or table of training methods, from runs of `Certify` under Gaussian noise that differ in training."""

    def why_not(self, run: StoredRun) -> str:
        if why := another(run, "certifier", "Certify") or another(run, "noise", "Gaussian"):
            return why
        return another(run, "training", *TRAINERS) or trained_otherwise(run)

    def drawn_as(self, run: StoredRun) -> str:
        n = run.identity["certifier"]["n"]
        return str(run.identity["model"]["type"]) + ("" if n == N else f"_n{n}")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {key: value for key, value in run.identity.items() if key not in ("noise", "training", "seed")}

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in(list(by_method(runs).values()), runs, OLDER)


def by_method(runs: list[StoredRun]) -> Runs:
    """The newest run of each method, sigma and seed of training, in the order of `TRAINERS`, then by sigma.

    The first seed has the method's name, another one "MACER, seed 1".
    """
    found = {}
    for run in oldest_first(runs):
        found[TRAINERS[run.identity["training"]["type"]], seed_of(run), sigma_of(run)] = run
    order = list(TRAINERS.values())
    chosen: Runs = {}
    for method, seed, sigma in sorted(found, key=lambda key: (order.index(key[0]), key[1:])):
        further = (method, sigma) in chosen
        chosen[f"{method}, seed {seed}" if further else method, sigma] = found[method, seed, sigma]
    return chosen


def first_seeds(runs: Runs) -> Runs:
    """The runs of each method's first seed."""
    return {(method, sigma): run for (method, sigma), run in runs.items() if method in TRAINERS.values()}


def seed_of(run: StoredRun) -> int:
    """The seed of the training; 0 if the run does not say."""
    return int(run.identity["training"].get("seed", 0))


def images_of(run: StoredRun) -> str | None:
    """The published set of images that a run has exactly: `EVERY` or `ALL`. None if it has others."""
    found = set(run.table["index"])
    of = {EVERY: range(0, 10_000, 20), ALL: range(10_000)}
    return next((name for name, images in of.items() if found == set(images)), None)


def as_published(run: StoredRun) -> bool:
    """Whether a run's certificates are computed as the published ones: same data, network, samples and alpha."""
    own = run.identity["certifier"]
    same = (run.identity["dataset"]["type"], run.identity["model"]["type"], own["n"], own["alpha"])
    usual = own.get("runner_up", "complement") == "complement" and own.get("bound", "exact") == "exact"
    return same == ("MNIST", "LeNet", N, ALPHA) and usual and images_of(run) is not None


def numbers(runs: Runs) -> pd.DataFrame:
    """One row per run and quantity, beside the published number.

    Columns: method, sigma, quantity (`ACR` or a radius), ours, examples, epochs, paper, tolerance, difference, within,
    kind, reason. `paper` is NaN where nothing is published.
    """
    published = pd.read_csv(EXPECTED, dtype={"quantity": str})
    rows = []
    for (method, sigma), run in runs.items():
        of = {"method": method.partition(",")[0], "sigma": sigma, "images": images_of(run)}  # of any seed
        same = (published[list(of)] == pd.Series(of)).all(axis=1)
        beside = published[same & as_published(run)].set_index("quantity")
        for quantity, ours in _numbers_of(run, [str(q) for q in beside.index if q != ACR]).items():
            row = {"method": method, "sigma": sigma, "quantity": quantity, "ours": ours, "examples": len(run.table)}
            row["epochs"] = run.identity["training"]["epochs"]
            row |= {name: beside[name].get(quantity) for name in ("paper", "tolerance", "reason")}
            if not (ours > 0 and better_than_one_class(run)):
                row["tolerance"] = np.nan  # a constant function agrees with nothing
            rows.append(row)
    table = pd.DataFrame(rows)
    table[["paper", "tolerance"]] = table[["paper", "tolerance"]].astype(float)
    table["difference"] = table["ours"] - table["paper"]
    within = judged(table["difference"], table["tolerance"]).where(table["paper"].notna(), None)
    return table.assign(within=within, kind="number")


def _numbers_of(run: StoredRun, radii: list[str]) -> dict[str, float]:
    correct, radius = rows_of(run)
    at = radii or [f"{r:g}" for r in np.arange(0, radius.max(initial=0.0) + 0.25, 0.25)]
    accuracy = certified_accuracy(correct, radius, np.array([float(r) for r in at]))["accuracy"]
    return {ACR: average_radius(correct, radius), **dict(zip(at, accuracy.tolist(), strict=True))}


def verdicts_on_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on the published numbers."""
    parts = []
    for quantity, part in ((ACR, table[table["quantity"] == ACR]), (SHARE, table[table["quantity"] != ACR])):
        parts.append(number_rows(part, WHERE, quantity, [_case(row) for row in part.itertuples()], "ours"))
    return all_rows(*parts)


def _case(row: Any) -> str:
    at = "" if row.quantity == ACR else f", r = {row.quantity}"
    return f"{row.method}, sigma = {row.sigma:g}{at}"


def verdicts_on_order(runs: Runs) -> pd.DataFrame:
    """The verdicts on the order of the methods: the ACR of one less that of the next, on the same images."""
    found: dict[str, dict[str, Measured]] = {}
    for worse, better in pairwise(BETTER):
        for (method, sigma), run in runs.items():
            if method == worse and (better, sigma) in runs:
                of = found.setdefault(f"ACR of {worse} less that of {better}", {})
                of[f"sigma = {sigma:g}"] = compared(_difference, run, runs[better, sigma])
    return verdicts(CLAIMS, "training_curves_mnist", found)


def _difference(values: Values) -> float:
    first, second = mean_radii(values)
    return float(first - second)


def notes_on(runs: Runs) -> list[str]:
    """What a reader must know about the runs."""
    short = [f"{m} at sigma = {s:g}: {e}" for (m, s), run in runs.items() if (e := _epochs(run)) != EPOCHS]
    precisions = sorted({str(run.identity.get("precision", "float32")) for run in runs.values()})
    return [
        *([f"epochs, of {EPOCHS} published: {'; '.join(short)}"] if short else []),
        *([f"certified in {' and '.join(precisions)}; the published networks in float32"] if runs else []),
    ]


def _epochs(run: StoredRun) -> int:
    return int(run.identity["training"]["epochs"])
