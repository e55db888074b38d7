"""Compute the rows of each example: draw samples, compute statements, and fill the columns of the table."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.certifying.inputs import Listed, input_to_certify
from experiments.data import Dataset, LabelledDataset
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import Key, Schema
from smoothing import ABSTAIN, BaseFunctionError, Certifier, SettingError
from smoothing.combining import combining
from smoothing.sampling import Procedure

Row = dict[str, Any]
STATUSES: tuple[str, ...] = ("certified", "abstained", "failed", "misclassified", "predicted", "attacked", "skipped")
STATUSES += ("fooled", "resisted")  # of DeepFool
# Columns of a certificate that are at least 0, with their largest values.
CHECKED = {"failure_probability": 1, "p_lower": 1, "p_upper": 1, "radius": inf, "eps_out": inf}
KNOWN = {"index", "label", "predict", "correct", "seconds"}  # columns that the run fills


@dataclass(frozen=True)
class Certification:
    """A certifier and the folder of its results.

    Attributes:
        certifier: computes the statements.
        cases: values of the column `Certifier.case`, one row each; empty if an example has a single row.
        folder: folder of the results.
    """

    certifier: Certifier
    cases: list[float]
    folder: RunFolder

    @property
    def schema(self) -> Schema:
        return Schema.of(type(self.certifier))

    def statements(self, drawn: Any) -> list[Any]:
        """The certifier's statements on one example. Raises SettingError if they do not fill its rows."""
        found = self.certifier.statements(drawn, self.cases)
        certifier = type(self.certifier)
        name, case, expected = f"certifier: {certifier.__name__}.statements", certifier.case, max(1, len(self.cases))
        if not isinstance(found, list) or len(found) != expected:
            got = f"{len(found)}" if isinstance(found, list) else f"a {type(found).__name__}"
            raise SettingError(f"{name}: expected a list of {expected}, one for each row of an example, got {got}")
        for k, statement in enumerate(found):
            if not dataclasses.is_dataclass(statement) or isinstance(statement, type):
                raise SettingError(f"{name}: expected dataclasses, got a {type(statement).__name__}")
            known = KNOWN | {field.name for field in dataclasses.fields(statement)}
            if missing := [column for column in certifier.columns if column not in known]:
                raise SettingError(f"{name}: {type(statement).__name__} has no field for the column {missing[0]}")
            if case and getattr(statement, case) != self.cases[k]:
                raise SettingError(
                    f"{name}: expected {case} = {self.cases[k]:g} in statement {k}, got {getattr(statement, case)}"
                )
        return found

    def keys(self, index: int) -> list[Key]:
        """The keys of all rows of an example."""
        return [(float(index), case) for case in self.cases] or [(float(index),)]


def rows_of_each(
    certifications: Sequence[Certification],
    dataset: Dataset,
    indices: Iterable[int],
    device: torch.device,
    inputs: Listed | None = None,
) -> Iterator[list[list[Row]]]:
    """The rows of each example in each certification, in order. A certifier's draws, if any, are saved in its folder.

    All certifications have the same base function and noise, so they share samples. f is evaluated once for all of
    them, and an example's seconds are split among them.

    Raises SettingError if an example is another than the one that is listed in `inputs`; see `input_to_certify`.
    """
    f, engine = certifications[0].certifier.f.f, certifications[0].certifier.engine
    under_way = deque[tuple[int, int, list[float | None]]]()  # index, label, seconds of stored draws

    def procedures() -> Iterator[Procedure[list[Any]]]:
        for index in indices:
            label = dataset.label(index) if isinstance(dataset, LabelledDataset) else ABSTAIN
            kept = [_kept(one, index) for one in certifications]
            under_way.append((index, label, [found and found[1] for found in kept]))
            x = input_to_certify(dataset, index, f, device, inputs or {}) if None in kept else None
            yield combining(
                [
                    one.certifier.procedure(x, index, label) if x is not None and found is None else _loaded(found)
                    for one, found in zip(certifications, kept, strict=True)
                ]
            )

    for all_drawn, seconds in engine.run_all(procedures()):
        index, label, earlier = under_way.popleft()
        share = seconds / max(1, earlier.count(None))
        rows = []
        for one, drawn, before in zip(certifications, all_drawn, earlier, strict=True):
            if before is None and one.certifier.draws:
                one.folder.save(index, drawn, share)
            took = share if before is None else before
            lines = [row(one.schema, each, index=index, label=label, seconds=took) for each in one.statements(drawn)]
            rows.append(lines)
        yield rows


def row(schema: Schema, statement: Any, *, index: int, label: int = ABSTAIN, seconds: float) -> Row:
    """A statement as a row of a table; see `Certifier`.

    Raises SettingError if its status is unknown, or if it is a certificate with an impossible number.
    """
    values = {field.name: getattr(statement, field.name) for field in dataclasses.fields(statement)}
    answer = {"predict": values.get("prediction"), "correct": is_correct(statement, label)}
    values |= answer | {"index": index, "label": label, "seconds": seconds}
    found = {name: _plain(name, values[name]) for name in schema.columns}
    _require_possible(found, type(statement).__name__)
    return found


def _require_possible(found: Row, statement: str) -> None:
    """Raises SettingError if a row's status is unknown, or if a certificate's probability or radius is impossible."""
    status = found.get("status", "certified")
    if status not in STATUSES:
        raise SettingError(f"certifier: {statement}.status: expected one of {', '.join(STATUSES)}, got {status!r}")
    if found.get("status") != "certified":
        return
    for name, value in found.items():
        checked = name in CHECKED or (name.startswith("p_") and isinstance(value, int | float))
        if checked and not (isinstance(value, int | float) and 0 <= value <= CHECKED.get(name, inf)):
            most = f" to {CHECKED[name]}" if CHECKED.get(name, inf) < inf else " or more"
            raise SettingError(f"certifier: {statement}.{name}: expected 0{most} where certified, got {value}")


def _plain(column: str, value: Any) -> Any:
    """A value as it is written: a tensor or an array of one number as that number. Raises BaseFunctionError."""
    if not isinstance(value, Tensor | np.ndarray | np.generic):
        return value
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if value.size != 1:
        raise BaseFunctionError(
            f"metric or certifier: expected one number for the column {column}, got an array of shape {value.shape}"
        )
    return value.item()


def is_correct(statement: Any, label: int) -> bool:
    """Whether a statement predicts the label. False if it abstained or failed."""
    prediction = getattr(statement, "prediction", ABSTAIN)
    return bool(getattr(statement, "status", "") not in ("abstained", "failed") and 0 <= prediction == label)


def _kept(one: Certification, index: int) -> tuple[Any, float] | None:
    """An example's draws and their seconds, if an earlier run stored them."""
    return one.folder.load(index, one.certifier.draws) if one.certifier.draws else None


def _loaded(found: tuple[Any, float] | None) -> Procedure[Any]:
    assert found
    return found[0]
    yield  # makes this function a generator
