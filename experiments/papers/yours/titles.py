"""Titles of axes and tables, from what a run records: norm, units, metric, data set."""

import re

from experiments.papers.kumar2021.medians import METRICS
from experiments.report.symbols import IN, NORMS
from experiments.runs.input_space import InputSpace, input_space
from experiments.runs.reader import StoredRun

ABBREVIATION = r"[A-Z\d]+(?![a-z])"


def space_of(run: StoredRun) -> InputSpace:
    """Norm and units of a run's input radii."""
    return input_space(run.record)


def radius_title(space: InputSpace) -> str:
    """Such as "l2 radius (pixels in [0, 1])"."""
    units = f" ({space.units})" if space.units else ""
    return f"{norm_text(space)} radius{units}".strip()


def input_radius_title(space: InputSpace) -> str:
    """Such as "eps_in (l2, pixels in [0, 1])"."""
    about = ", ".join(filter(None, (norm_text(space), space.units)))
    return f"{IN} ({about})" if about else IN


def norm_text(space: InputSpace) -> str:
    """The norm as axes have it; a name of the user's own as it is."""
    return NORMS.get(space.norm, space.norm)


def metric_text(run: StoredRun) -> str:
    """The distance between outputs, such as "total variation distance". A user's own is named by its class."""
    name = class_name((run.identity.get("metric") or {}).get("type", ""))
    if name in METRICS:
        return METRICS[name].replace("l2", NORMS["l2"])
    words = " ".join(
        word if re.fullmatch(ABBREVIATION, word) else word.lower()
        for word in re.findall(rf"{ABBREVIATION}|[A-Z]?[a-z\d]+", name)
    )
    return words if not words or words.endswith("distance") else f"{words} distance"


def data_text(run: StoredRun) -> str:
    """The data set, by its class."""
    return class_name(run.identity["dataset"]["type"])


def class_name(dotted: str) -> str:
    """The last part of a dotted name. A user's own class is recorded with its module."""
    return dotted.rpartition(".")[2]


def space_notes(runs: list[StoredRun]) -> list[str]:
    """A note if the norm of the radii is not known."""
    noises = {run.identity["noise"]["type"] for run in runs if run.identity.get("noise") and not space_of(run).norm}
    return [f"the norm of the radii under {name} is not recorded" for name in sorted(noises)]
