"""What became of each point of a sweep, in one table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

HEADER = ("job", "settings", "rows", "certified", "results")


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        overrides: of its point.
        results: its tables, or the folder of its checkpoint.
        error: the line that says why it failed; empty where it did not.
    """

    overrides: list[str]
    results: list[str] = field(default_factory=list)
    error: str = ""


def report(outcomes: Sequence[Outcome]) -> str:
    """A line for each job: the settings in which jobs differ, rows, the certified share, and a folder or an error."""
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
    """The tables, or the checkpoint's folder, that a job printed the paths of."""
    lines = printed.strip().splitlines()
    tables = [line for line in lines if line.endswith(".csv") and Path(line).is_file()]
    return tables or [line for line in lines[-1:] if line and Path(line).is_dir()]


def _counts(result: str) -> tuple[str, str]:
    """Rows of a table and the share of them that are certified; dashes where there are none."""
    if not result.endswith(".csv"):
        return "-", "-"
    table = pd.read_csv(result)
    certificates = "eps_out" in table or ("radius" in table and "factor" not in table)
    share = f"{(table['status'] == 'certified').mean():.0%}" if certificates and len(table) else "-"
    return str(len(table)), share


def _folder(result: str) -> str:
    return str(Path(result).parent) if result.endswith(".csv") else result or "-"
