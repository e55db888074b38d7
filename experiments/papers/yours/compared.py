"""What every comparison shares: which runs it takes, and which of them belong in one drawing."""

import re
from pathlib import Path
from typing import Any

from experiments.papers.cohen2019 import published as cohen2019
from experiments.papers.levine2021 import published as levine2021
from experiments.papers.yours.titles import class_name, data_text, space_of
from experiments.report.figure import Figure
from experiments.runs.reader import StoredRun, find_runs
from smoothing import SettingError

CLASSES, OUTPUTS = "classes", "outputs"
COLUMNS = {CLASSES: {"correct", "radius", "status"}, OUTPUTS: {"eps_in", "eps_out", "status"}}
INCOMPARABLE = (
    "gives no radii of classes and no eps_out of outputs, so it cannot be compared; plot.py table=<folder> prints it, "
    "docs/add_a_paper.md draws it"
)
PARTS = ("step", "count")  # arguments of a data set that choose examples of the same data
OPTIMISTIC = "the best run at each point is chosen on the test set itself, which is optimistic"
Radii = list[float] | float | None


class ComparedRuns(Figure):
    """A figure or table of the runs of several sources, under their labels. It needs only their run.json and CSV files.

    Runs of one data set, threat norm and metric are drawn together. They may differ in everything else: noise, sigma,
    base function, training, certifier, number of samples. So each is a method, and a drawing compares methods.

    Args:
        radii: radius, or radii, of the table and of the tests. None: round numbers up to the largest radius.
        envelope: whether all runs of a source are one series, the best of them at each point: the best over sigma.

    Raises:
        SettingError: a radius is negative.
    """

    compares = True
    reads = "certificates of classes or of outputs, as certify.py or the papers' authors write them"

    def __init__(self, radii: Radii = None, envelope: bool = False) -> None:
        super().__init__(experiments=[])
        given = radii if isinstance(radii, list | None) else [radii]
        numbers = given is None or all(isinstance(r, int | float) and not isinstance(r, bool) for r in given)
        if not numbers or (given is not None and not (given and min(given) >= 0)):
            raise SettingError(f"figure.radii: expected numbers from 0 up, such as [0, 0.25, 0.5], got {radii}")
        self.radii = sorted(set(given)) if given else None
        self.envelope = envelope

    def find(self, folder: Path) -> list[StoredRun]:
        runs = [*find_runs(folder), *cohen2019.published_runs(folder), *levine2021.published_runs(folder)]
        if not runs:
            raise SettingError(f"source: no run.json in '{folder}' or below; give a folder that certify.py wrote")
        return runs

    def why_not(self, run: StoredRun) -> str:
        if kind_of(run):
            return ""
        name = class_name(run.identity["certifier"]["type"])
        return f"{name} {INCOMPARABLE}"

    def drawn_as(self, run: StoredRun) -> str:
        metric = class_name((run.identity.get("metric") or {}).get("type", "")) if kind_of(run) == OUTPUTS else ""
        words = (data_text(run), space_of(run).norm, metric)
        return "_".join(re.sub(r"\W+", "_", word.lower()) for word in words if word)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        """Data, threat norm and units; of outputs also the metric, with the hash of the numbers that it holds.

        Runs of two networks that measure distances are in different units. A run from before the hash was recorded is
        drawn apart from one that has it.
        """
        space, outputs = space_of(run), kind_of(run) == OUTPUTS
        data = {name: value for name, value in run.identity["dataset"].items() if name not in PARTS}
        data["type"] = data_text(run).lower()  # the authors' files have the name of a folder
        return {"data": data, "norm": space.norm, "units": space.units} | (
            {"metric": run.identity.get("metric"), "metric_numbers": run.record.get("metric")} if outputs else {}
        )

    def joined(self, groups: dict[str, list[StoredRun]]) -> dict[str, list[StoredRun]]:
        """The same groups. Raises SettingError if some are of classes and others of outputs."""
        found: dict[str, StoredRun] = {}
        for run in (run for runs in groups.values() for run in runs):
            found.setdefault(kind_of(run), run)
        if len(found) > 1:
            said = " and ".join(f"'{run.label}' certifies {kind} ({run.folder})" for kind, run in found.items())
            raise SettingError(f"source: {said}; name run folders of one kind in source=")
        return groups


def kind_of(run: StoredRun) -> str:
    """What a run certifies, `CLASSES` or `OUTPUTS`. Empty if neither, such as predictions and attacks."""
    return next((kind for kind, columns in COLUMNS.items() if columns <= set(run.table)), "")
