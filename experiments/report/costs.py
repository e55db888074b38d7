"""Cost and provenance of finished runs: samples, seconds, machines, commits, settings."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import pandas as pd

from experiments.config.identity import NOT_SETTINGS
from experiments.machine.words import counted, device_text
from experiments.report.titles import numbers_text
from experiments.runs.certifier_class import certifier_class
from experiments.runs.reader import StoredRun

COMMIT_LETTERS = 10
VERSIONS = ("python", "torch")  # the versions in run.json that the report shows
NOT_NAMED = (*NOT_SETTINGS, "weights", "fingerprint")  # keys of an identity that are shown elsewhere or not readable


@dataclass(frozen=True)
class Cost:
    """Total cost of several runs.

    Attributes:
        runs: number of runs.
        examples: number of examples, summed over runs.
        samples: evaluations of the base function. None if a run's table does not record them, such as an attack's.
        seconds: time on the runs' own machines, summed over examples.
    """

    runs: int
    examples: int
    samples: int | None
    seconds: float

    def __str__(self) -> str:
        samples = "samples not counted" if self.samples is None else counted(self.samples, "sample")
        many = f"{counted(self.runs, 'run')}, {counted(self.examples, 'example')} in all"
        return f"{many}, {samples}, {duration(self.seconds)} of computing"


def cost_of(runs: list[StoredRun]) -> Cost:
    """The cost of finished runs, computed from their tables.

    Rows that were read again from another of these runs cost nothing more.
    """
    names = {_name(run) for run in runs}
    tables = [_first_rows(run, names) for run in runs]
    samples = [samples_of(run, table) for run, table in zip(runs, tables, strict=True)]
    known = [count for count in samples if count is not None]
    return Cost(
        runs=len(runs),
        examples=sum(run.table["index"].nunique() for run in runs),
        samples=sum(known) if len(known) == len(samples) else None,
        seconds=sum(float(table["seconds"].sum()) for table in tables),
    )


def samples_of(run: StoredRun, first_rows: pd.DataFrame) -> int | None:
    """Evaluations of the base function, from the counts in some rows of a run. None if they have no counts."""
    certifier = certifier_class(run.record)
    if certifier is None:
        return None
    found = [certifier.evaluations(row, run.identity["certifier"]) for row in first_rows.to_dict("records")]
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def _name(run: StoredRun) -> str:
    return f"{run.folder.parent.name}/{run.folder.name}"


def _first_rows(run: StoredRun, others: set[str]) -> pd.DataFrame:
    """The first row of each example, without examples that were read again from one of the other runs."""
    readings = [reading for reading in run.record.get("read_again", []) if reading["from"] in others]
    read = {index for reading in readings for index in reading.get("examples", run.table["index"])}
    rows = run.table.groupby("index").first()
    return rows[~rows.index.isin(read)]


def duration(seconds: float) -> str:
    """A duration in a readable unit, such as 5.2 s, 3.1 min or 2.4 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


def stands_on(runs: list[StoredRun]) -> str:
    """What runs stand on, in one line: data sets, examples of a run, and epochs and seeds of training.

    Such as "Digits: 100 examples; trained for 120 epochs, 1 seed". Empty without runs.
    """
    by_data: dict[str, list[StoredRun]] = {}
    for run in runs:
        by_data.setdefault(str(run.identity["dataset"]["type"]), []).append(run)
    return " | ".join(f"{data}: {_examples(some)}; {_training(some)}" for data, some in by_data.items())


def _examples(runs: list[StoredRun]) -> str:
    counts = sorted({int(run.table["index"].nunique()) for run in runs})
    return f"{numbers_text(counts)} example{'s' * (counts[-1] != 1)}"


def _training(runs: list[StoredRun]) -> str:
    """Epochs and seeds of training. A network that was not trained here has neither."""
    trained = [run.identity.get("training") or {} for run in runs]
    epochs = sorted({int(each["epochs"]) for each in trained if "epochs" in each})
    seeds = {each["seed"] for each in trained if "seed" in each}
    parts = []
    if epochs:
        many = f", {counted(len(seeds), 'seed')}" if seeds else ""
        parts.append(f"trained for {numbers_text(epochs)} epoch{'s' * (epochs[-1] != 1)}{many}")
    if any("epochs" not in each for each in trained):
        parts.append("weights from elsewhere")
    return " or ".join(parts)


def provenance_of(runs: list[StoredRun]) -> dict[str, str]:
    """Settings, seed, hardware, commit, date and versions of a drawing's runs, by heading.

    If the runs differ in a setting, it is under "settings that differ", with all its values.
    """
    records = [run.record for run in runs]
    starts = [start for record in records for start in (record, *record.get("resumed", []))]
    days = sorted(str(start["started"])[:10] for start in starts if start.get("started"))
    differ, shared = _settings(runs)
    found = {
        "settings that differ": differ,
        "settings": shared,
        "seed": _listed(str(run.identity["seed"]) for run in runs if "seed" in run.identity),
        "hardware": _listed(device_text(start["device"]) for start in starts if start.get("device")),
        "commit": _listed(_commit(start) for start in starts if start.get("commit")),
        "date": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "versions": ", ".join(filter(None, (_version(starts, name) for name in VERSIONS))),
    }
    return {heading: text for heading, text in found.items() if text}


def told_apart(drawings: dict[str, list[StoredRun]]) -> dict[str, str]:
    """The settings that tell drawings of the same figure and experiment apart, by drawing.

    Such as "training.epochs = 20". A setting in which the runs of one drawing differ, such as sigma, is left out. Empty
    for a single drawing, and where only lists differ.

    Args:
        drawings: the runs of each drawing, by its name.
    """
    own = {name: [_named(run.identity) for run in runs] for name, runs in drawings.items()}
    settings = dict.fromkeys(chain(*chain(*own.values())))
    values = {
        name: {each: {one.get(each, "default") for one in some} for each in settings} for name, some in own.items()
    }
    same = [each for each in settings if all(len(found[each]) == 1 for found in values.values())]
    telling = [each for each in same if len(set().union(*(found[each] for found in values.values()))) > 1]
    return {name: ", ".join(f"{each} = {_listed(found[each])}" for each in telling) for name, found in values.items()}


def _settings(runs: list[StoredRun]) -> tuple[str, str]:
    """The settings in which runs differ, and those that all share, such as "noise.sigma = 0.25 or 0.5, grid = 255".

    A run without a setting has "none".
    """
    own = [_named(run.identity) for run in runs]
    values = {name: [settings.get(name, "none") for settings in own] for name in dict.fromkeys(chain(*own))}
    differing = {name for name, found in values.items() if len(set(found)) > 1}
    texts = {name: f"{name} = {_listed(found)}" for name, found in values.items()}
    differ = [text for name, text in texts.items() if name in differing]
    return ", ".join(differ), ", ".join(text for name, text in texts.items() if name not in differing)


def _named(identity: dict[str, Any]) -> dict[str, Any]:
    """The settings of an identity by dotted name, a class under its group's name. Lists and the seed are left out."""
    found: dict[str, Any] = {}
    for name, value in identity.items():
        for key, each in (value if isinstance(value, dict) else {"type": value}).items():
            if each is not None and not isinstance(each, dict | list) and (key == "type" or key not in NOT_NAMED):
                found[name if key == "type" else f"{name}.{key}"] = each
    return {name: value for name, value in found.items() if name not in ("seed", *NOT_NAMED)}


def _version(starts: list[dict[str, Any]], name: str) -> str:
    found = _listed(start["versions"][name] for start in starts if name in start.get("versions", {}))
    return f"{name} {found}" if found else ""


def _commit(start: dict[str, Any]) -> str:
    return str(start["commit"])[:COMMIT_LETTERS] + " with changes" * bool(start.get("dirty"))


def _listed(values: Any) -> str:
    """The distinct values as text. Numbers are sorted."""
    distinct = list(dict.fromkeys(values))
    if all(isinstance(value, int | float) for value in distinct):
        return " or ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(distinct))
    return " or ".join(map(str, distinct))
