"""Why a figure does not show a run: each reason is named, with the number of its runs and an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.config.command_line import from_here
from experiments.runs.reader import StoredRun, noise_matches

NO_ROWS = "no rows yet; certify.py adds them"
NO_DRAWS = "its draws/ are missing, and the figure reads them; copy them from the machine of the run"
NOT_LISTED = "its experiment is not one of the figure's, see figure.experiments"
ONE_LEVEL = "the figure shows one noise level; figure.sigma= chooses another"
OLDER = "another run differs only in its weights, and is newer"
ELSEWHERE = "figure=compare draws certificates of any noise and training together: source='[<folder>, <folder>]'"


@dataclass(frozen=True)
class LeftOut:
    """A run that a figure found and does not show.

    Attributes:
        run: the run.
        why: the reason, without numbers of the run itself, so that equal reasons can be counted.
    """

    run: StoredRun
    why: str


def explanation(left_out: Sequence[LeftOut], found: int, *, elsewhere: bool) -> list[str]:
    """One line for each reason, the most frequent first. Empty if no run is left out.

    Args:
        left_out: the runs that are not shown.
        found: number of runs that were found.
        elsewhere: whether to name the figure that shows any runs.
    """
    if not left_out:
        return []
    by_reason: dict[str, list[StoredRun]] = {}
    for one in left_out:
        by_reason.setdefault(one.why, []).append(one.run)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    lines = [f"  {len(runs)}: {why}. Such as {from_here(runs[0].folder)}" for why, runs in ordered]
    other = [f"  {ELSEWHERE}"] if elsewhere and set(by_reason) != {NO_ROWS} else []
    head = f"{len(left_out)} of the {found} runs found are not shown:"
    if found == 1:
        head = "The only run found is not shown:"
    return [head, *lines, *other]


def apart(drawn: Mapping[str, Sequence[StoredRun]]) -> list[str]:
    """A line if two sources share no drawing, with the sources of each drawing. Else empty.

    Args:
        drawn: the runs of each drawing, by its name.
    """
    sources = {name: list(dict.fromkeys(run.label for run in runs)) for name, runs in drawn.items()}
    known = {label for labels in sources.values() for label in labels}
    together = {(a, b) for labels in sources.values() for a in labels for b in labels}
    if len(together) == len(known) ** 2:
        return []
    listed = "; ".join(f"{name} has {', '.join(labels)}" for name, labels in sources.items())
    return [f"Runs of different data, norms or metrics are drawn apart: {listed}."]


def another(run: StoredRun, group: str, *taken: str) -> str:
    """The reason if a run's class of a group, such as its noise, is none of those that a figure takes. Else empty."""
    found = (run.identity.get(group) or {}).get("type", "none")
    return "" if found in taken else f"{group} {found}, and the figure takes {' or '.join(taken)}"


def trained_otherwise(run: StoredRun) -> str:
    """The reason if the base function was trained with another noise than that of certification. Else empty."""
    return "" if noise_matches(run) else "trained with another noise or sigma than it is certified with"


def not_in(shown: Sequence[StoredRun], runs: Sequence[StoredRun], why: str) -> dict[str, list[StoredRun]]:
    """The runs that are not shown, under their reason. Empty if there is none."""
    others = [run for run in runs if all(run is not one for one in shown)]
    return {why: others} if others else {}
