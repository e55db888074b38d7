"""Which runs of a results folder no figure shows yet: the sources of `Compare` when everything is drawn."""

from collections.abc import Collection
from pathlib import Path

from experiments.papers.yours.compared import CLASSES, OUTPUTS, kind_of
from experiments.report.sources import Source
from experiments.runs.reader import find_runs


def not_shown(results: Path, shown: Collection[Path]) -> list[list[Source]]:
    """Run folders that can be compared, each under the name of its experiment: those of classes, then of outputs.

    Args:
        results: the folder with the results of all experiments.
        shown: run folders that other figures show.
    """
    others = [run for run in find_runs(results) if run.folder not in shown]
    return [
        [Source(run.folder.parent.name, run.folder) for run in others if kind_of(run) == kind]
        for kind in (CLASSES, OUTPUTS)
    ]
