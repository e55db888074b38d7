"""Reads the authors' own per-example results as if they were our runs.

Their repository (alevine0/smoothingSplittingNoise, folder checkpoints) has NumPy files in folders named
<cifar or imagenet>_<uniform, split or split_derandomized>_<sigma>[_stabilized]:
labels.npy        (examples,) the true classes
preds.npy         (examples, classes) shares of the votes: over all noisy inputs for DSSN, else over the n0 = 64
                  selection samples
radius_l1.npy     (examples,) certified radii, float32; negative where p_lower < 1/2
prob_lb.npy       (examples,) p_lower of a two-sided interval at alpha = 0.001; not for DSSN
time_per.npy      mean seconds per image; not with a denoiser
Results with a denoiser are in denoise_results/<mse, stability or mse_retrain>. Pickled files are not opened.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from math import floor, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.data.base import PIXELS
from experiments.runs.input_space import InputSpace
from experiments.runs.reader import PUBLISHED, StoredRun
from smoothing import SmoothingError
from smoothing.exact_guarantee import exact_certificate
from smoothing.noise import DeterministicSplitting

PLACE = re.compile(
    r"^(?P<dataset>cifar|imagenet)_(?P<method>uniform|split|split_derandomized)_(?P<sigma>[\d.]+)(?P<stable>_stabilized)?$"
)
DATASETS = {"cifar": "cifar10", "imagenet": "imagenet"}
NOISES = {
    "uniform": ("uniform", "Uniform"),
    "split": ("ssn", "Splitting"),
    "split_derandomized": ("dssn", "DeterministicSplitting"),
}
DENOISERS = ("mse", "stability", "mse_retrain")  # the names of `DenoiserTrainer.loss`
LEVELS = 255  # pixel values are k / 255
STATED = {"n0": 64, "n": 100_000, "alpha": 0.0005}  # alpha: one side of their interval
EXPECTED = (
    "the folder checkpoints of Levine and Feizi with folders <cifar or imagenet>_<uniform, split or "
    "split_derandomized>_<sigma>[_stabilized] that hold radius_l1.npy"
)


@dataclass(frozen=True)
class PublishedRun(StoredRun):
    """One of the authors' folders."""

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_published(self.folder, self.identity["noise"])


def published_runs(source: Path) -> list[StoredRun]:
    """All of the authors' folders in `source` and its subfolders, sorted by path."""
    runs: list[StoredRun] = []
    for path in sorted(source.rglob("radius_l1.npy")):
        folder = path.resolve().parent
        if place := PLACE.match(folder.name):
            denoiser = folder.parent.name if folder.parent.name in DENOISERS else None
            runs.append(PublishedRun(path.parent, _record(place, denoiser)))
    return runs


def read_published(folder: Path, noise: dict[str, Any]) -> pd.DataFrame:
    """One of the authors' folders with the columns of our tables. DSSN's radii are recomputed from the counts.

    Raises:
        SmoothingError: a file is missing or has another format, or a DSSN radius contradicts its counts.
    """
    try:
        labels, preds, radius = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("labels", "preds", "radius_l1")
        )
        time = folder / "time_per.npy"
        seconds = float(np.load(time, allow_pickle=False)) if time.exists() else float("nan")
        if preds.shape[:1] != labels.shape or radius.shape != labels.shape:
            raise ValueError("files of different lengths")
        known = {"index": np.arange(len(labels)), "label": labels.astype(int), "seconds": seconds}
        if noise["type"] == "DeterministicSplitting":
            table = pd.DataFrame(known | _exact(preds, radius, noise["sigma"]))
            return table.assign(correct=table["predict"] == table["label"])
        p_lower = np.load(folder / "prob_lb.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SmoothingError(f"{folder}: not a results folder of Levine and Feizi: {error}") from error
    guess, certified = preds.argmax(axis=1), radius > 0
    table = pd.DataFrame(known | {"guess": guess, "predict": np.where(certified, guess, -1), "p_lower": p_lower})
    table["radius"] = np.where(certified, radius.astype(np.float64), 0.0)
    table["n"] = STATED["n"]
    table["correct"] = table["predict"] == table["label"]
    table["status"] = np.where(certified, "certified", "abstained")
    return table


def _exact(preds: np.ndarray[Any, Any], radius: np.ndarray[Any, Any], sigma: float) -> dict[str, Any]:
    """The columns of DSSN's certificates, computed from the counts. The radii must agree with them."""
    steps = floor(2 * sqrt(3) * sigma * LEVELS)
    noise = DeterministicSplitting(sigma, LEVELS, ())
    counts = (preds * steps).round().astype(int)
    found = [exact_certificate(votes, noise) for votes in counts.tolist()]
    columns = {name: [getattr(c, name) for c in found] for name in ("n_a", "n_b", "n", "p_lower", "radius_steps")}
    wrong = np.flatnonzero((radius * LEVELS).round() != np.array(columns["radius_steps"]))
    if len(wrong):
        raise ValueError(f"the radius of example {wrong[0]} contradicts its counts")
    return columns | {
        "predict": [c.prediction for c in found],
        "radius": [c.radius for c in found],
        "levels": LEVELS,
        "status": "certified",
    }


def _record(place: re.Match[str], denoiser: str | None) -> dict[str, Any]:
    name, noise_type = NOISES[place["method"]]
    noise = {"type": noise_type, "sigma": float(place["sigma"])}
    exact = noise_type == "DeterministicSplitting"
    network = "WideResNet" if place["dataset"] == "cifar" else "ResNet50"
    return {
        "identity": {
            "dataset": {"type": DATASETS[place["dataset"]]},
            "model": {"type": "Denoised" if denoiser else network},
            "noise": noise,
            "training": {"noise": noise, "stability": 6.0 if place["stable"] else 0.0}
            | ({"loss": denoiser} if denoiser else {}),
            "certifier": {"type": "ExactCertify"} if exact else {"type": "Certify", **STATED},
            "published": True,
        },
        "config": {"name": f"{DATASETS[place['dataset']]}_{name}{'_denoised' if denoiser else ''}{PUBLISHED}"},
        "device": "one NVIDIA 2080 Ti, as the paper says",
        **InputSpace("l1", PIXELS).record(),
    }
