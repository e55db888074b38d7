"""The results table: one schema, one writer, one reader.

Comma-separated, with a header, full precision (repr of the float64), one row an (example, eps), written and flushed as
it is done. The columns of the contract come first; others follow.
"""

import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from smoothing import OutputCertificate, SmoothingError

CONTRACT = ("eps_in", "eps_out", "smoothing_error", "center_radius", "distance_quantile", "n", "m", "status")
EXTRA = ("reason", "order_statistic", "failure_probability", "vacuous", "not_finite")
COLUMNS = ("index", *CONTRACT, "seconds", *EXTRA)


def row(index: int, certificate: OutputCertificate, seconds: float) -> dict[str, Any]:
    """A certificate as a row of the table. `seconds`: the time that its example's draws took."""
    values = {f.name: getattr(certificate, f.name) for f in dataclasses.fields(certificate)}
    return {"index": index, "seconds": round(seconds, 3)} | {name: values[name] for name in (*CONTRACT, *EXTRA)}


class TableWriter:
    """Appends rows to a CSV file, after the last whole row of an earlier run.

    Raises:
        SmoothingError: the file has other columns.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        whole = _drop_torn_line(path)
        self.done: set[tuple[int, float]] = set()
        if whole:
            with path.open(newline="") as file:
                reader = csv.DictReader(file)
                if tuple(reader.fieldnames or ()) != COLUMNS:
                    raise SmoothingError(f"{path}: its columns are not {','.join(COLUMNS)}; move the file away")
                self.done = {(int(line["index"]), float(line["eps_in"])) for line in reader}
        self._file = path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        if not whole:
            self._writer.writeheader()

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        self._writer.writerows(rows)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done.update((line["index"], line["eps_in"]) for line in rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read_table(folder: Path) -> pd.DataFrame:
    """All rows of a run folder, shards together, one row an (index, eps_in), sorted by them."""
    parts = [pd.read_csv(path, keep_default_na=False) for path in sorted(folder.glob("certificates*.csv"))]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(parts, ignore_index=True).drop_duplicates(["index", "eps_in"])
    return table.sort_values(["index", "eps_in"], ignore_index=True)


def _drop_torn_line(path: Path) -> bool:
    """Cut the file after its last line end; returns whether a whole line, the header, is left."""
    if not path.exists():
        return False
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end != len(content):
        with path.open("r+b") as file:
            file.truncate(end)
    return end > 0
