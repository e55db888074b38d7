"""examples.csv: the file, label and class of each example of a run."""

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.data import Dataset, LabelledDataset
from experiments.runs.table import EXAMPLES, read_rows
from smoothing import SettingError


def example_rows(dataset: Dataset, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Index, file, label and class name of each example; empty if the data set has neither files nor labels.

    Raises:
        SettingError: a label is no whole number in the range of the data set's classes.
    """
    rows = []
    for index in indices:
        row = {"index": index, "file": _written(dataset.file(index)), "label": None, "class": None}
        if isinstance(dataset, LabelledDataset):
            label = dataset.label(index)
            if not isinstance(label, Integral) or not 0 <= label < len(dataset.classes):
                raise SettingError(
                    f"dataset: example {index} has label {label!r}, expected a whole number from 0 to "
                    f"{len(dataset.classes) - 1} for its {len(dataset.classes)} classes"
                )
            row |= {"label": label, "class": dataset.classes[label]}
        rows.append(row)
    known = any(row["file"] is not None or row["label"] is not None for row in rows)
    return rows if known else []


def _written(file: str | None) -> str | None:
    """A file's name on one line, with invalid bytes and line breaks escaped."""
    return file and file.encode(errors="backslashreplace").decode().replace("\n", "\\n").replace("\r", "\\r")


def read_examples(folder: Path) -> pd.DataFrame:
    """All rows of examples.csv in a run folder, of all shards, sorted by index; empty if there is no such file."""
    return read_rows(folder, "examples", EXAMPLES.key)
