"""The table at the end of a sweep: the outcome of each point."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

HEADER = ("job", "settings", "rows", "certified", "results")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        overrides: the overrides of its point.
        results: paths of its tables, or of its checkpoint's folder.
        error: one line that says why the job failed; empty if it succeeded.
    """

    overrides: list[str]
    results: list[str] = field(default_factory=list)
    error: str = ""


def report(outcomes: Sequence[Outcome]) -> str:
    """One line for each job: the settings that differ between jobs, rows, certified share, and a folder or an error."""
    shared = set.intersection(*(set(outcome.overrides) for outcome in outcomes)) if len(outcomes) > 1 else set()
    lines = [HEADER]
    for number, outcome in enumerate(outcomes):
        settings = " ".join(word for word in outcome.overrides if word not in shared) or "-"
        for result in outcome.results or [""]:
            found = f"error: {outcome.error}" if outcome.error else _folder(result)
            lines.append((f"#{number}", settings, *_counts(result), found))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    failed = sum(bool(outcome.error) for outcome in outcomes)
    return "\n".join([*rows, *([f"{failed} of {len(outcomes)} jobs failed"] if failed else [])])


def results_in(printed: str) -> list[str]:
    """The paths that a job printed: its tables, or its checkpoint's folder."""
    lines = printed.strip().splitlines()
    tables = [line for line in lines if line.endswith(".csv") and Path(line).is_file()]
    return tables or [line for line in lines[-1:] if line and Path(line).is_dir()]


def _counts(result: str) -> tuple[str, str]:
    """Number of rows of a table and the certified share of them; dashes if there is no table."""
    if not result.endswith(".csv"):
        return "-", "-"
    table = pd.read_csv(result)
    certificates = "eps_out" in table or ("radius" in table and "factor" not in table)
    share = f"{(table['status'] == 'certified').mean():.0%}" if certificates and len(table) else "-"
    return str(len(table)), share


def _folder(result: str) -> str:
    return str(Path(result).parent) if result.endswith(".csv") else result or "-"
