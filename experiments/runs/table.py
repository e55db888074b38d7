"""The results table: one writer and one reader.

A CSV file with a header, and one row per statement, flushed as soon as it is written. Numbers have full precision (repr
of the float64). The certifier defines the columns (`smoothing.Certifier`).
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from experiments.machine.files import sync_folder
from experiments.machine.lock import Lock
from experiments.runs.certifier_class import certifier_in
from smoothing import Certifier, SmoothingError

Key = tuple[float, ...]


@dataclass(frozen=True)
class Schema:
    """The columns of a table.

    Attributes:
        columns: all columns, in order.
        key: the columns that identify a row.
        younger: trailing columns that were added later. A table without them is continued without them.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    younger: tuple[str, ...] = ()

    @classmethod
    def of(cls, certifier: type[Certifier]) -> Self:
        """The schema of a certifier's rows."""
        key = ("index", certifier.case) if certifier.case else ("index",)
        return cls(certifier.columns, key, certifier.younger)

    def continues(self, columns: tuple[str, ...]) -> bool:
        """Whether a table with these columns can be continued."""
        least = len(self.columns) - len(self.younger)
        return len(columns) >= least and columns == self.columns[: len(columns)]

    def key_of(self, row: dict[str, Any]) -> Key:
        return tuple(float(row[name]) for name in self.key)


EXAMPLES = Schema(("index", "file", "label", "class", "input"), ("index",), younger=("input",))  # of examples.csv


class TableWriter:
    """Appends rows to a CSV file, after the last complete row of an earlier run. Holds the file's lock.

    Raises:
        SmoothingError: the file has other columns or a damaged row, or another job is writing it.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._schema = schema
        self._lock = Lock(path.with_suffix(".lock"), "to split a run between jobs, set shard.count and shard.index")
        try:
            self._open(path, schema)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, path: Path, schema: Schema) -> None:
        content = path.read_bytes() if path.exists() else b""
        whole = _whole_lines(content)
        self.done: set[Key] = set()
        columns = schema.columns
        if whole:
            columns, lines = _parsed(path, whole, schema.key)
            if not schema.continues(columns):
                raise SmoothingError(
                    f"{path}: expected the columns {','.join(schema.columns)}, got {','.join(columns)}; move the file "
                    "away"
                )
            self.done = {schema.key_of(line) for line in lines}
        elif not ",".join(schema.columns).encode().startswith(content):
            raise SmoothingError(f"{path}: expected a table of results, got another file; move the file away")
        if whole != content:
            os.truncate(path, len(whole))
        self._columns = columns
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns, extrasaction="ignore", lineterminator="\n")
        if not whole:
            self._writer.writeheader()
            sync_folder(path.parent)  # before the first row; a file with whole lines is in a folder that was synced

    def holds(self, keys: Iterable[Key]) -> bool:
        """Whether the table holds all these rows."""
        return self.done.issuperset(keys)

    def rows_of(self, path: Path) -> dict[Key, dict[str, str]]:
        """The whole rows of another table of the run, by key; none if its columns differ, as after an update.

        Raises SmoothingError if the file is no table or damaged.
        """
        content = _whole_lines(path.read_bytes())
        columns, lines = _parsed(path, content, self._schema.key) if content else ((), [])
        return {self._schema.key_of(line): line for line in lines} if columns == self._columns else {}

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append the rows that the table does not hold yet. They are on the disk when this returns."""
        rows = [line for line in rows if self._schema.key_of(line) not in self.done]
        self._writer.writerows(rows)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done.update(self._schema.key_of(line) for line in rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._file.close()
        finally:
            self._lock.release()


def read_table(folder: Path) -> pd.DataFrame:
    """All rows of a run folder, of all shards, sorted by their key columns. Empty if there are none.

    Each row occurs once: if several files hold it, as after a change of shard.count, the first file by name counts. An
    incomplete last line is left out.

    Raises:
        SmoothingError: a file is not a table of results, or a row is damaged.
    """
    certifier = certifier_in(folder)
    return read_rows(folder, "certificates", Schema.of(certifier).key if certifier else None)


def read_rows(folder: Path, name: str, key: tuple[str, ...] | None, words: Sequence[str] = ()) -> pd.DataFrame:
    """As `read_table`, for the files <name>.csv and <name>.<k>-of-<K>.csv of a run folder.

    Args:
        folder: the run's folder.
        name: name of the files.
        key: the columns that identify a row; None: all columns but the seconds.
        words: columns of words: "01" is not read as 1.
    """
    parts = []
    for path in sorted([*folder.glob(f"{name}.csv"), *folder.glob(f"{name}.*-of-*.csv")]):
        if content := _whole_lines(path.read_bytes()):
            _parsed(path, content, key or ("index",))
            parts.append(pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=dict.fromkeys(words, str)))
    if not parts:
        return pd.DataFrame()
    rows = pd.concat(parts, ignore_index=True)
    if key is None:
        once = rows.drop_duplicates([column for column in rows if column != "seconds"])
        return once.sort_values("index", ignore_index=True, kind="stable")
    return rows.drop_duplicates(list(key)).sort_values(list(key), ignore_index=True)


def is_empty(table: pd.DataFrame) -> pd.Series:
    """Which rows have an empty output, such as no detected face. None in earlier tables, which lack the column."""
    return table["empty"].astype(str) == "True" if "empty" in table else pd.Series(False, index=table.index)


def answers_in(table: pd.DataFrame) -> pd.Series | None:
    """In which rows f_hat surely answers; None if the table does not say so of any row."""
    told = table["answers"].astype(str) if "answers" in table else pd.Series("", index=table.index)
    return told == "True" if (told != "").any() else None


def empty_examples(table: pd.DataFrame) -> int:
    """Number of examples with an empty output."""
    return int(table.loc[is_empty(table), "index"].nunique())


def _parsed(path: Path, content: bytes, key: Sequence[str]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Columns and rows of a table. Raises SmoothingError if it is not a table, or if a row is damaged."""
    try:
        columns, *lines = [line for line in csv.reader(io.StringIO(content.decode(), newline=""), strict=True) if line]
        if "index" not in columns:
            raise ValueError("no column index")
        rows = [dict(zip(columns, line, strict=True)) for line in lines]
        if not all(isfinite(float(row[name])) for row in rows for name in key if name in columns):
            raise ValueError("an index that is not finite")
    except (ValueError, csv.Error) as error:
        raise SmoothingError(f"{path}: not a table of results, or damaged ({error}); move the file away") from error
    return tuple(columns), rows


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
