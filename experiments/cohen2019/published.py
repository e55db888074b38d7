"""The authors' own per-example results, read as if they were runs of ours.

Their repository (locuslab/smoothing, folder data) holds tab-separated files, named by what they are:
certify/<data set>/<model>/noise_<training sigma>/test/sigma_<sigma>    idx label predict radius correct time
predict/<data set>/<model>/noise_<sigma>/test/N_<samples>               idx label predict correct time
Counts are not among them. A radius is rounded to 3 significant digits; predict is -1 where abstained; time is in
seconds or H:MM:SS. The settings that the files do not say are those that the paper states for all its experiments;
where a file's radii say otherwise, `results.alpha_of` finds out.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.report import PUBLISHED, Run
from smoothing import SmoothingError

PLACE = re.compile(
    r"(?P<kind>certify|predict)/(?P<dataset>\w+)/(?P<model>\w+)/noise_(?P<noise>[\d.]+)/test/(sigma|N)_(?P<value>[\d.]+)$"
)
STATED = {"n0": 100, "n": 100_000, "alpha": 0.001}
COLUMNS = ["idx", "label", "predict", "radius", "correct", "time"]


@dataclass(frozen=True)
class PublishedRun(Run):
    """One file of the authors. `folder` is the file."""

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_published(self.folder)


def published_runs(source: Path) -> list[Run]:
    """All of the authors' files below `source`, in order of their paths; empty where there are none."""
    runs: list[Run] = []
    for path in sorted([*source.rglob("sigma_*"), *source.rglob("N_*")]):
        place = PLACE.search(path.resolve().as_posix())
        if place and path.is_file():
            runs.append(PublishedRun(path, _record(place)))
    return runs


def read_published(path: Path) -> pd.DataFrame:
    """A file of the authors in the columns of our tables, counts and p_lower aside. Raises SmoothingError."""
    try:
        found = pd.read_csv(path, sep="\t")
        certify = "radius" in found
        expected = [name for name in COLUMNS if certify or name != "radius"]
        if list(found) != expected:
            raise ValueError(f"its columns are not {' '.join(expected)}")
        table = pd.DataFrame(
            {
                "index": found["idx"].astype(int),
                "label": found["label"].astype(int),
                "predict": found["predict"].astype(int),
                **({"radius": found["radius"].astype(float)} if certify else {}),
                "correct": found["correct"].astype(int) == 1,
                "seconds": [_seconds(str(value)) for value in found["time"]],
            }
        )
    except (ValueError, pd.errors.ParserError) as error:  # an empty file is a ValueError, too
        raise SmoothingError(f"{path}: not a results file of Cohen et al.: {error}") from error
    answered = "certified" if certify else "predicted"
    table["status"] = [answered if predict >= 0 else "abstained" for predict in table["predict"]]
    return table


def _record(place: re.Match[str]) -> dict[str, Any]:
    certify = place["kind"] == "certify"
    sigma = float(place["value"] if certify else place["noise"])
    settings = STATED if certify else {"n": int(place["value"]), "alpha": STATED["alpha"]}
    return {
        "identity": {
            "dataset": {"type": place["dataset"]},
            "model": {"type": place["model"]},
            "noise": {"type": "Gaussian", "sigma": sigma},
            "training": {"noise": {"type": "Gaussian", "sigma": float(place["noise"])}},
            "certifier": {"type": "Certify" if certify else "Predict", **settings},
            "published": True,
        },
        "config": {"name": f"{place['dataset']}_gaussian{PUBLISHED}"},
    }


def _seconds(time: str) -> float:
    """15.4 or 0:00:14.206886."""
    seconds = 0.0
    for part in time.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
