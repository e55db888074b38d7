"""The committed runs that a table shows, chosen by their settings, and a table's text."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd

from experiments.config.command_line import CONF
from experiments.runs.committed import committed_files
from experiments.runs.reader import StoredRun, find_runs, sigma_of
from smoothing import SettingError

RESULTS = CONF.parent / "results"


@cache
def committed(experiment: str) -> tuple[StoredRun, ...]:
    """All committed runs of an experiment."""
    kept = {file.parent for file in committed_files(RESULTS / experiment)}
    return tuple(run for run in find_runs(RESULTS / experiment) if run.folder in kept)


def setting(run: StoredRun, key: str) -> Any:
    """A part of a run's identity, such as "training.epochs". None if it has none, as for the default of a setting."""
    found: Any = run.identity
    for part in key.split("."):
        found = (found or {}).get(part)
    return found


def having(experiment: str, settings: Mapping[str, Any]) -> list[StoredRun]:
    """The runs with these settings, as `setting` reads them."""
    return [run for run in committed(experiment) if all(setting(run, key) == settings[key] for key in settings)]


def by_sigma(experiment: str, settings: Mapping[str, Any]) -> dict[float, StoredRun]:
    """The runs with these settings, by noise level. Raises SettingError if two have the same level."""
    found: dict[float, StoredRun] = {}
    for run in sorted(having(experiment, settings), key=sigma_of):
        if sigma_of(run) in found:
            raise SettingError(f"which run is in the table, {found[sigma_of(run)].folder} or {run.folder}?")
        found[sigma_of(run)] = run
    return found


def only(experiment: str, settings: Mapping[str, Any]) -> StoredRun:
    """The one run with these settings. Raises SettingError if there are none or several."""
    runs = having(experiment, settings)
    if len(runs) != 1:
        raise SettingError(f"{experiment}: expected one run with {dict(settings)}, found {len(runs)}")
    return runs[0]


def at(run: StoredRun, eps: float) -> pd.DataFrame:
    """The rows of a run at one input radius, by index."""
    return run.table[run.table["eps_in"] == eps].set_index("index")


def percent(share: float, digits: int | None = None) -> str:
    """A share in percent, with so many decimals; without a number, with as many as three digits need.

    Examples:
        >>> percent(0.805), percent(0.13), percent(0.9, 1), percent(0.0, 1)
        ('80.5 %', '13 %', '90.0 %', '0.0 %')
    """
    return f"{100 * share:.3g} %" if digits is None else f"{100 * share:.{digits}f} %"


def shares(values: Iterable[float]) -> str:
    """Several shares in percent: "2, 14 %"."""
    return f"{', '.join(f'{100 * value:.3g}' for value in values)} %"


def number(value: float, digits: int) -> str:
    """A median with so many decimals. Half of the examples or more have no certificate if it is infinite: "-"."""
    return f"{value:.{digits}f}" if value < float("inf") else "-"


def count(whole: int) -> str:
    """A whole number, with a comma from 10,000 on."""
    return f"{whole:,}" if whole >= 10_000 else str(whole)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table. A row of which there is no number, because there is no run, is left out."""
    lines = [header, ["---"] * len(header), *(row for row in rows if any(row[1:]))]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
