"""What a certification run asks of a certifier: the rows of each example."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch

from experiments.data import Dataset
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import Key, Schema
from smoothing import Noise
from smoothing.base_function import FrozenFunction
from smoothing.engine import Engine

Row = dict[str, Any]


class Task(ABC):
    """A certifier at work on a data set.

    Attributes:
        schema: of its rows.
        f: the base function under the certifier.
        engine: what evaluates it; None for a certifier that samples nothing.
        noise: of the certifier; None for one without.
        samples_each: the most samples that an example takes.
    """

    schema: ClassVar[Schema]
    f: FrozenFunction
    engine: Engine | None
    noise: Noise | None = None
    samples_each: int

    @abstractmethod
    def keys(self, index: int) -> list[Key]:
        """The rows that an example has when it is done."""

    @abstractmethod
    def all_rows(
        self, dataset: Dataset, indices: Iterable[int], device: torch.device, folder: RunFolder
    ) -> Iterator[list[Row]]:
        """All rows of each example, in order."""

    def announce(self) -> str:
        """A line to print before the first example; empty for none."""
        return ""


def row(schema: Schema, statement: Any, *, seconds: float, **others: Any) -> Row:
    """A certificate's fields, and others, in the columns of the table."""
    fields = {f.name: getattr(statement, f.name) for f in dataclasses.fields(statement)}
    values = fields | others | {"seconds": seconds}
    return {name: values[name] for name in schema.columns}
