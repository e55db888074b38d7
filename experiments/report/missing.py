"""What `plot.py` says about results that are missing, and about runs that the figures do not show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from experiments.config.command_line import runnable
from experiments.report.artefacts import Artefact
from experiments.report.figure import Selection

WIDTH = 118  # characters of a line


def say(lines: Sequence[str]) -> None:
    """Print a paragraph, if there is any."""
    if lines:
        print("\n" + "\n".join(lines))


def commands_of_missing(artefacts: Sequence[Artefact], root: str) -> list[str]:
    """The commands that create missing results, with paths that work from the current folder.

    Args:
        artefacts: all figures and tables, drawn or not.
        root: results.root as the end of a certify.py command; empty for the default.
    """
    missing: dict[str, list[str]] = {}  # commands -> the figures that need their results
    for one in artefacts:
        if not one.drawn:
            for lacking in one.lacking:
                commands = "\n    ".join(map(runnable, lacking.commands)) + root  # the last command is certify.py
                missing.setdefault(commands, []).append(one.name)
    if not missing:
        return []
    lines = [f"  {', '.join(names)}:\n    {commands}" for commands, names in missing.items()]
    return ["Skipped (no results). To create them, run:", *lines]


def counts_of_left_out(selections: Mapping[str, Selection], *, of_one_page: bool = False) -> list[str]:
    """How many of the runs in its folders each figure does not show, by figure. Empty if all are shown.

    Args:
        selections: the runs of each figure, by the figure's name.
        of_one_page: whether a run that one figure shows counts as shown by all.
    """
    shown: set[Path] = set().union(*map(_shown, selections.values())) if of_one_page else set()
    left_out = {name: [one for one in s.left_out if one.run.folder not in shown] for name, s in selections.items()}
    counts = [f"{name} {len(some)} of {selections[name].found}" for name, some in left_out.items() if some]
    if not counts:
        return []
    head = "Runs in a figure's folders that it does not show; figure=<name> says why:"
    return [head, fill(", ".join(counts), WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)]


def _shown(selected: Selection) -> set[Path]:
    drawn = {run.folder for runs in selected.drawn.values() for run in runs}
    return drawn - {one.run.folder for one in selected.left_out}
