"""Reads other authors' per-example results as if they were our runs.

Three repositories publish such files. The path of a file says what it contains:
locuslab/smoothing               certify/<data set>/<model>/noise_<training sigma>/test/sigma_<sigma>
                                 predict/<data set>/<model>/noise_<sigma>/test/N_<samples>
Hadisalman/smoothing-adversarial certify[/best_models]/<data set>/<method>/<model>/noise_<..>/test/sigma_<sigma>
jh-jeong/smoothing-consistency   certify/<data set>/<method>/<model>/noise_<sigma>[_<number of the training>]
The columns are `CERTIFY`, without radius for Predict, separated by tabs or commas. Other columns are ignored.
A radius has 3 significant digits. predict is -1 for an abstention. time is in seconds or H:MM:SS. n0, n and alpha are
those that all three papers state. If a file's radii contradict the stated alpha, `results.alpha_of` computes it.
"""

import io
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.data.base import PIXELS
from experiments.runs.input_space import InputSpace
from experiments.runs.reader import PUBLISHED, StoredRun
from smoothing import SmoothingError

NUMBER = r"(?P<value>\d+(?:\.\d+)?)(?P<rest>_\w+)?"
FILE = re.compile(rf"(?P<kind>sigma|N|noise)_{NUMBER}(?:\.(?:txt|tsv|csv))?")
TRAINING = re.compile(rf"noise_{NUMBER}")
ACCURACIES = "_acc"  # suffix of smoothing-consistency's files of accuracies, which have no rows
DATASETS = ("cifar10", "cifar100", "imagenet", "mnist", "svhn")
NETWORK = re.compile(r"resnet|densenet|lenet|wrn|vgg|vit|cnn|mlp", re.IGNORECASE)
UNKNOWN = "unknown"  # network
STATED = {"n0": 100, "n": 100_000, "alpha": 0.001}
CERTIFY = ["idx", "label", "predict", "radius", "correct", "time"]
PREDICT = ["idx", "label", "predict", "correct", "time"]
EXPECTED = (
    "a folder certify/<data set>/.../<model>/noise_<sigma> with files test/sigma_<sigma>, or files noise_<sigma>, "
    f"whose first line is {' '.join(CERTIFY)}"
)


@dataclass(frozen=True)
class Place:
    """The information in a file's path.

    Attributes:
        kind: Certify or Predict.
        dataset: name of its folder.
        method: training method, from the folders that name neither data set nor model. Empty for Cohen et al.'s own.
        model: name of its folder, or `UNKNOWN`.
        sigma: noise level of certification.
        training_sigma: noise level of training. None if the path does not say.
        n: number of samples of Predict. None for Certify.
    """

    kind: str
    dataset: str
    method: str
    model: str
    sigma: float
    training_sigma: float | None
    n: int | None


@dataclass(frozen=True)
class PublishedRun(StoredRun):
    """One published file. `folder` is the path of the file."""

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_published(self.folder)


def published_runs(source: Path) -> list[StoredRun]:
    """All published files in `source` and its subfolders, sorted by path.

    If a method, model and sigma has several training runs, the first of each sigma are drawn together, then the second,
    and so on.
    """
    runs: list[StoredRun] = []
    seen: Counter[Place] = Counter()
    for path in sorted(path for kind in ("sigma", "N", "noise") for path in source.rglob(f"{kind}_*")):
        place = place_of(path.resolve()) if path.is_file() else None
        if place:
            seen[place] += 1
            runs.append(PublishedRun(path, _record(place, seen[place])))
    return runs


def place_of(path: Path) -> Place | None:
    """The information in a path. None if it is not a published file, or one about training images."""
    file, folders = FILE.fullmatch(path.name), list(path.parts[:-1])
    if not file or (file["rest"] and (file["kind"] != "noise" or file["rest"].endswith(ACCURACIES))):
        return None
    training = float(file["value"]) if file["kind"] == "noise" else None
    for i in range(len(folders) - 1, -1, -1):
        found = TRAINING.fullmatch(folders[i])
        if found:
            if "train" in folders[i:]:
                return None
            training, folders = float(found["value"]), folders[:i]
            break
    anchor = max((i for i, part in enumerate(folders) if part in ("certify", "predict")), default=None)
    known = [part for part in folders[anchor or 0 :] if part in DATASETS]
    if not known:
        return None
    if anchor is None:
        anchor = len(folders) - 1 - folders[::-1].index(known[-1])
    rest = [part for part in folders[anchor:] if part not in (*DATASETS, "certify", "predict", "test")]
    named = bool(rest) and (NETWORK.search(rest[-1]) is not None or (len(rest) == 1 and file["kind"] != "noise"))
    model = rest.pop() if named else UNKNOWN
    sigma = training if file["kind"] == "N" else float(file["value"])
    if sigma is None:
        return None
    n = int(float(file["value"])) if file["kind"] == "N" else None
    return Place("Predict" if n else "Certify", known[-1], "/".join(rest), model, sigma, training, n)


def read_published(path: Path) -> pd.DataFrame:
    """A published file with the columns of our tables, except counts and p_lower. An unfinished last line is dropped.

    Raises:
        SmoothingError: the file has another format, or a row contradicts itself.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        header, _, rows = text.partition("\n")
        separator = "\t" if "\t" in header else ","
        columns = [name.strip() for name in header.split(separator)]
        wanted = CERTIFY if "radius" in columns else PREDICT
        if not set(wanted) <= set(columns):
            raise ValueError(f"expected the first line to be {' '.join(CERTIFY)}, got '{header[:60]}'")
        found = pd.read_csv(io.StringIO(_whole(rows, separator, len(columns))), sep=separator, names=columns, dtype=str)
        table = pd.DataFrame(
            {
                "index": found["idx"].map(int).astype(int),
                "label": found["label"].map(int).astype(int),
                "predict": found["predict"].map(int).astype(int),
                **({"radius": found["radius"].map(float).astype(float)} if "radius" in columns else {}),
                "correct": found["correct"].map(int) == 1,
                "seconds": found["time"].map(_seconds).astype(float),
            }
        )
        _require_consistent(table)
    except (ValueError, TypeError, pd.errors.ParserError) as error:
        raise SmoothingError(f"{path}: not a results file in the layout of Cohen et al.: {error}") from error
    answered = "certified" if "radius" in columns else "predicted"
    table["status"] = np.where(table["predict"] >= 0, answered, "abstained")
    return table


def _whole(rows: str, separator: str, columns: int) -> str:
    """The rows without an unfinished last one, which has no newline and lacks columns or the time."""
    before, _, last = rows.rpartition("\n")
    fields = last.split(separator)
    try:
        whole = len(fields) == columns and _seconds(fields[-1]) >= 0
    except ValueError:
        whole = False
    return rows if whole else f"{before}\n"


def _require_consistent(table: pd.DataFrame) -> None:
    """Raises ValueError if an index occurs twice, a radius is missing, or correct contradicts label and predict."""
    twice = table.loc[table["index"].duplicated(), "index"]
    if len(twice):
        raise ValueError(f"idx {twice.iloc[0]} occurs twice")
    radius = table["radius"] if "radius" in table else pd.Series(0.0, index=table.index)
    wrong = (table["correct"] != (table["predict"] == table["label"])) | ~np.isfinite(radius) | (radius < 0)
    if wrong.any():
        raise ValueError(f"the row of idx {table.loc[wrong, 'index'].iloc[0]} contradicts itself")


def _record(place: Place, training: int) -> dict[str, Any]:
    identity: dict[str, Any] = {
        "dataset": {"type": place.dataset},
        "model": {"type": place.model},
        "noise": {"type": "Gaussian", "sigma": place.sigma},
        "certifier": {"type": "Certify", **STATED},
        "published": True,
    }
    if place.n:
        identity["certifier"] = {"type": "Predict", "n": place.n, "alpha": STATED["alpha"]}
    if place.training_sigma is not None:
        identity["training"] = {"noise": {"type": "Gaussian", "sigma": place.training_sigma}}
    method = [part for part in (place.method, str(training) if training > 1 else "") if part]
    if method:  # Cohen et al.'s own files have no method
        identity["method"] = "/".join(method)
    space = InputSpace("l2", PIXELS).record()
    return {"identity": identity, "config": {"name": f"{place.dataset}_gaussian{PUBLISHED}"}, **space}


def _seconds(time: str) -> float:
    """Seconds from a text such as 15.4, 0:00:14.206886 or 1 day, 0:00:14."""
    days, _, clock = time.rpartition("day")
    seconds = 0.0
    for part in clock.lstrip("s, ").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds + 86_400 * float(days or 0)
