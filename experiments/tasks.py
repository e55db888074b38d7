"""What a run does to one example, for each kind of certifier: sample, conclude, and make rows of the table."""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch

from experiments.base_functions import input_of
from experiments.data import Dataset, LabelledDataset
from experiments.run_folder import RunFolder
from experiments.table import ADAPTIVE, ATTACK, CLASSIFICATION, EXACT, OUTPUT, PREDICTION, UNDEFENDED, Key, Schema
from experiments.undefended import DeepFool
from smoothing import (
    Adaptive,
    Attack,
    CenterDraws,
    CenterSmoothing,
    Certify,
    ExactCenterSmoothing,
    ExactCertify,
    Predict,
    SettingError,
)
from smoothing.base_function import FrozenFunction
from smoothing.engine import Engine
from smoothing.noise.l1 import L1Noise, lambda_of
from smoothing.sampling import Procedure

Row = dict[str, Any]


class Task(ABC):
    """A certifier at work on a data set.

    Attributes:
        schema: of its rows.
        f: the base function under the certifier.
        engine: what evaluates it; None for a certifier that samples nothing.
        samples_each: the most samples that an example takes.
    """

    schema: ClassVar[Schema]
    f: FrozenFunction
    engine: Engine | None
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


class CenterTask(Task):
    """Center smoothing: one row for each eps, all read off the same draws, which are kept."""

    schema = OUTPUT

    def __init__(self, certifier: CenterSmoothing | ExactCenterSmoothing, eps: list[float]) -> None:
        self.certifier, self.eps, self.f, self.engine = certifier, eps, certifier.f, certifier.engine
        if isinstance(certifier, CenterSmoothing):
            certifier.require_feasible(eps)
            self.samples_each = certifier.samples
        else:
            self.samples_each = certifier.noise.steps

    def keys(self, index: int) -> list[Key]:
        return [(float(index), radius) for radius in self.eps]

    def all_rows(
        self, dataset: Dataset, indices: Iterable[int], device: torch.device, folder: RunFolder
    ) -> Iterator[list[Row]]:
        begun = deque[tuple[int, float | None]]()  # with the seconds that draws took earlier

        def procedures() -> Iterator[Procedure[CenterDraws]]:
            for index in indices:
                if kept := folder.load(index):
                    begun.append((index, kept[1]))
                    yield _nothing_to_do(kept[0])
                else:
                    begun.append((index, None))
                    x = input_of(self.f.f, dataset[index].to(device)[None])[0]
                    yield self.certifier.drawing(x, example=index)

        for draws, seconds in self.certifier.engine.run_all(procedures()):
            index, earlier = begun.popleft()
            if earlier is None:
                folder.save(index, draws, seconds)
            certificates = (self.certifier.read(draws, radius) for radius in self.eps)
            yield [row(self.schema, c, index=index, seconds=earlier or seconds) for c in certificates]


def _nothing_to_do(draws: CenterDraws) -> Procedure[CenterDraws]:
    return draws
    yield  # that makes it a procedure


class VoteTask(Task):
    """A procedure of a smoothed classifier: one row, whose counts are all that was drawn."""

    def __init__(
        self, procedure: Adaptive | Certify | ExactCertify | Predict, schema: Schema, samples_each: int
    ) -> None:
        self.procedure, self.samples_each = procedure, samples_each
        self.schema = schema  # type: ignore[misc]
        self.f, self.engine = procedure.g.f, procedure.g.engine

    def keys(self, index: int) -> list[Key]:
        return [(float(index),)]

    def all_rows(
        self, dataset: Dataset, indices: Iterable[int], device: torch.device, folder: RunFolder
    ) -> Iterator[list[Row]]:
        assert isinstance(dataset, LabelledDataset)
        begun = deque[tuple[int, int]]()

        def procedures() -> Iterator[Procedure[Any]]:
            for index in indices:
                begun.append((index, dataset.label(index)))
                yield self.procedure.procedure(dataset[index].to(device), *begun[-1])

        for found, seconds in self.procedure.g.engine.run_all(procedures()):
            index, label = begun.popleft()
            answer = {"predict": found.prediction, "correct": found.prediction == label}
            yield [row(self.schema, found, index=index, label=label, seconds=seconds, **answer)]

    def announce(self) -> str:
        p, noise = self.procedure, self.procedure.g.noise
        lines = []
        if isinstance(noise, L1Noise):
            rounded = f", rounded down from {wanted:.7g}" if noise.lam < (wanted := lambda_of(noise.sigma)) else ""
            lines.append(f"{noise}: lambda = {noise.lam:.7g}{rounded}")
        if isinstance(p, Adaptive | Certify):
            lines.append(f"the largest radius that n={p.n} at alpha={p.alpha:g} can certify: {p.largest_radius:.4g}")
        return "\n".join(lines)


class _OneByOne(Task):
    """A task whose examples have nothing to share."""

    @abstractmethod
    def rows(self, dataset: LabelledDataset, index: int, x: torch.Tensor) -> list[Row]:
        """All rows of an example, but for the seconds."""

    def all_rows(
        self, dataset: Dataset, indices: Iterable[int], device: torch.device, folder: RunFolder
    ) -> Iterator[list[Row]]:
        assert isinstance(dataset, LabelledDataset)
        for index in indices:
            x, started = dataset[index].to(device), time.perf_counter()
            rows = self.rows(dataset, index, x)
            seconds = time.perf_counter() - started
            yield [line | {"seconds": seconds} for line in rows]


class AttackTask(_OneByOne):
    """The attack: one row for each multiple of the certified radius."""

    schema = ATTACK

    def __init__(self, attack: Attack) -> None:
        self.attack, self.f, self.engine = attack, attack.g.f, attack.g.engine
        self.samples_each = attack.n0 + attack.n * (1 + len(attack.factors))

    def keys(self, index: int) -> list[Key]:
        return [(float(index), factor) for factor in self.attack.factors]

    def rows(self, dataset: LabelledDataset, index: int, x: torch.Tensor) -> list[Row]:
        label = dataset.label(index)
        outcomes = self.attack(x, index, label)
        return [row(self.schema, o, index=index, label=label, predict=o.prediction, seconds=0.0) for o in outcomes]


class UndefendedTask(_OneByOne):
    """DeepFool on the base classifier itself: one row, and no samples."""

    schema = UNDEFENDED
    engine = None
    samples_each = 1  # for the progress bar: one example

    def __init__(self, attack: DeepFool) -> None:
        self.attack, self.f = attack, attack.f

    def keys(self, index: int) -> list[Key]:
        return [(float(index),)]

    def rows(self, dataset: LabelledDataset, index: int, x: torch.Tensor) -> list[Row]:
        label = dataset.label(index)
        found = self.attack(x, label)
        answer = {"predict": found.prediction, "correct": found.prediction == label}
        return [row(self.schema, found, index=index, label=label, seconds=0.0, **answer)]


def task_for(certifier: object, dataset: Dataset, eps: Any) -> Task:
    """The task of a certifier. Raises SettingError where the data set does not go with it."""
    if isinstance(certifier, CenterSmoothing | ExactCenterSmoothing):
        return CenterTask(certifier, input_radii(eps))
    if not isinstance(certifier, Adaptive | Certify | ExactCertify | Predict | Attack | DeepFool):
        raise SettingError(f"certifier: {type(certifier).__name__} is not one that certify.py knows")
    if not isinstance(dataset, LabelledDataset):
        raise SettingError(f"dataset: {type(dataset).__name__} has no labels, which {type(certifier).__name__} needs")
    if isinstance(certifier, Attack):
        return AttackTask(certifier)
    if isinstance(certifier, DeepFool):
        return UndefendedTask(certifier)
    if isinstance(certifier, Adaptive):
        return VoteTask(certifier, ADAPTIVE, certifier.n0 + certifier.n)
    if isinstance(certifier, Certify):
        return VoteTask(certifier, CLASSIFICATION, certifier.n0 + certifier.n)
    return VoteTask(certifier, PREDICTION if isinstance(certifier, Predict) else EXACT, certifier.n)


def row(schema: Schema, statement: Any, *, seconds: float, **others: Any) -> Row:
    """A certificate's fields, and others, in the columns of the table."""
    fields = {f.name: getattr(statement, f.name) for f in dataclasses.fields(statement)}
    values = fields | others | {"seconds": seconds}
    return {name: values[name] for name in schema.columns}


def pending(rows: Iterable[dict[str, Any]], schema: Schema, done: set[Key]) -> list[dict[str, Any]]:
    """The rows that are not in the table yet."""
    return [line for line in rows if schema.key_of(line) not in done]


def input_radii(eps: Any) -> list[float]:
    """`eps` of a run as a list, each radius once. Raises SettingError."""
    radii = eps if isinstance(eps, list) else [eps]
    for radius in radii:
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 <= radius < float("inf"):
            raise SettingError(f"eps: expected numbers of at least 0, as 0.1 or [0.1,0.2], got {radius}")
    if not radii:
        raise SettingError("eps: expected at least one number, as 0.1 or [0.1,0.2]")
    return list(dict.fromkeys(float(radius) for radius in radii))
