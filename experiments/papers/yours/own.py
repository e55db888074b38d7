"""Which runs of a results folder can be compared: the sources of `Compare` when everything is drawn."""

from pathlib import Path

from experiments.papers.yours.compared import CLASSES, OUTPUTS, kind_of
from experiments.report.sources import Source
from experiments.runs.reader import find_runs


def comparable(results: Path) -> list[list[Source]]:
    """Run folders that can be compared, each under the name of its experiment: those of classes, then of outputs.

    Args:
        results: the folder with the results of all experiments.
    """
    runs = find_runs(results)
    return [
        [Source(run.folder.parent.name, run.folder) for run in runs if kind_of(run) == kind]
        for kind in (CLASSES, OUTPUTS)
    ]
