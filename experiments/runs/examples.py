"""examples.csv: the file, label, class and a hash of each example of a run."""

from collections.abc import Callable, Container, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.data import Dataset, LabelledDataset
from experiments.runs.table import EXAMPLES, read_rows
from smoothing import SettingError, SmoothingError


def example_rows(
    dataset: Dataset, indices: Sequence[int], hash_of: Callable[[int], str | None] = lambda index: None
) -> list[dict[str, Any]]:
    """Index, file, label, class name and hash of each example; empty if the data set has none of these.

    Args:
        dataset: the data set.
        indices: the examples.
        hash_of: the hash of an example, by index; None for none.

    Raises:
        SettingError: a label is no whole number in the range of the data set's classes.
    """
    rows = []
    for index in indices:
        row: dict[str, Any] = {"index": index, "file": _written(dataset.file(index)), "label": None, "class": None}
        row["input"] = hash_of(index)
        if isinstance(dataset, LabelledDataset):
            label = dataset.label(index)
            if not isinstance(label, Integral) or not 0 <= label < len(dataset.classes):
                raise SettingError(
                    f"dataset: example {index} has label {label!r}, expected a whole number from 0 to "
                    f"{len(dataset.classes) - 1} for its {len(dataset.classes)} classes"
                )
            row |= {"label": label, "class": dataset.classes[label]}
        rows.append(row)
    known = any(row[name] is not None for row in rows for name in ("file", "label", "input"))
    return rows if known else []


def _written(file: str | None) -> str | None:
    """A file's name on one line, with invalid bytes and line breaks escaped."""
    return file and file.encode(errors="backslashreplace").decode().replace("\n", "\\n").replace("\r", "\\r")


def read_examples(folder: Path) -> pd.DataFrame:
    """All rows of examples.csv in a run folder, of all shards, sorted by index; empty if there is no such file."""
    return read_rows(folder, "examples", EXAMPLES.key, words=("file", "class"))


def changed(inputs: Mapping[int, str | None], folder: Path) -> set[int]:
    """The examples whose hashes differ from those in a run folder's examples.csv. Earlier folders have no hashes.

    Args:
        inputs: the hashes now, by index; None if there is none.
        folder: the run folder.
    """
    earlier = {row["index"]: row["input"] for row in listed_rows(folder) if row["input"]}
    return {index for index, found in inputs.items() if found and earlier.get(index, found) != found}


def require_unchanged(inputs: Mapping[int, str | None], folder: Path) -> None:
    """Raises SmoothingError if an example was another when it was listed in a run folder: rows would be mixed."""
    if found := changed(inputs, folder):
        raise SmoothingError(
            f"{folder}: its rows are of other examples: example {min(found)} of the data set has changed; move the "
            "folder away, or set another results.root"
        )


def listed_rows(folder: Path, indices: Container[int] | None = None) -> list[dict[str, Any]]:
    """The rows of examples.csv in a run folder, as `example_rows` made them: of these examples, or of all."""
    found = []
    for line in read_examples(folder).to_dict("records"):
        row = {str(name): value for name, value in line.items() if value != "" and not pd.isna(value)}
        row |= {name: int(row[name]) for name in ("index", "label") if name in row}
        if indices is None or row["index"] in indices:
            found.append(dict.fromkeys(EXAMPLES.columns) | row)
    return found
