"""What a run does to one example, for each kind of certifier: sample, conclude, and make rows of the table."""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch

from experiments.base_functions import input_of
from experiments.data import Dataset, LabelledDataset
from experiments.run_folder import RunFolder
from experiments.table import ATTACK, CLASSIFICATION, EXACT, OUTPUT, PREDICTION, UNDEFENDED, Key, Schema
from experiments.undefended import DeepFool
from smoothing import Attack, CenterSmoothing, Certify, ExactCenterSmoothing, ExactCertify, Predict, SettingError
from smoothing.base_function import FrozenFunction
from smoothing.noise.l1 import L1Noise, lambda_of


class Task(ABC):
    """A certifier at work on a data set.

    Attributes:
        schema: of its rows.
        f: the base function under the certifier.
        samples_each: the most samples that an example takes.
    """

    schema: ClassVar[Schema]
    f: FrozenFunction
    samples_each: int

    @abstractmethod
    def keys(self, index: int) -> list[Key]:
        """The rows that an example has when it is done."""

    @abstractmethod
    def rows(self, dataset: Dataset, index: int, device: torch.device, folder: RunFolder) -> list[dict[str, Any]]:
        """All rows of an example."""

    @abstractmethod
    def report_samples(self, report: Callable[[int], None]) -> None:
        """Have the number of samples just evaluated reported."""

    def announce(self) -> str:
        """A line to print before the first example; empty for none."""
        return ""


class CenterTask(Task):
    """Center smoothing: one row for each eps, all read off the same draws, which are kept."""

    schema = OUTPUT

    def __init__(self, certifier: CenterSmoothing | ExactCenterSmoothing, eps: list[float]) -> None:
        self.certifier, self.eps, self.f = certifier, eps, certifier.f
        if isinstance(certifier, CenterSmoothing):
            certifier.require_feasible(eps)
            self.samples_each = certifier.samples
        else:
            self.samples_each = certifier.noise.steps

    def keys(self, index: int) -> list[Key]:
        return [(float(index), radius) for radius in self.eps]

    def rows(self, dataset: Dataset, index: int, device: torch.device, folder: RunFolder) -> list[dict[str, Any]]:
        kept = folder.load(index)
        if kept is None:
            x, started = input_of(self.f.f, dataset[index].to(device)[None])[0], time.perf_counter()
            draws = self.certifier.draw(x, example=index)
            seconds = time.perf_counter() - started
            folder.save(index, draws, seconds)
        else:
            draws, seconds = kept
        certificates = (self.certifier.read(draws, radius) for radius in self.eps)
        return [row(self.schema, c, index=index, seconds=seconds) for c in certificates]

    def report_samples(self, report: Callable[[int], None]) -> None:
        self.certifier.on_samples = report


class VoteTask(Task):
    """Certify, ExactCertify or Predict of a smoothed classifier: one row, whose counts are all that was drawn."""

    def __init__(self, procedure: Certify | ExactCertify | Predict, schema: Schema, samples_each: int) -> None:
        self.procedure, self.samples_each = procedure, samples_each
        self.schema = schema  # type: ignore[misc]
        self.f = procedure.g.f

    def keys(self, index: int) -> list[Key]:
        return [(float(index),)]

    def rows(self, dataset: Dataset, index: int, device: torch.device, folder: RunFolder) -> list[dict[str, Any]]:
        assert isinstance(dataset, LabelledDataset)
        x, label, started = dataset[index].to(device), dataset.label(index), time.perf_counter()
        found = self.procedure(x, index, label)
        seconds = time.perf_counter() - started
        answer = {"predict": found.prediction, "correct": found.prediction == label}
        return [row(self.schema, found, index=index, label=label, seconds=seconds, **answer)]

    def report_samples(self, report: Callable[[int], None]) -> None:
        self.procedure.g.on_samples = report

    def announce(self) -> str:
        p, noise = self.procedure, self.procedure.g.noise
        lines = []
        if isinstance(noise, L1Noise):
            rounded = f", rounded down from {wanted:.7g}" if noise.lam < (wanted := lambda_of(noise.sigma)) else ""
            lines.append(f"{noise}: lambda = {noise.lam:.7g}{rounded}")
        if isinstance(p, Certify):
            lines.append(f"the largest radius that n={p.n} at alpha={p.alpha:g} can certify: {p.largest_radius:.4g}")
        return "\n".join(lines)


class AttackTask(Task):
    """The attack: one row for each multiple of the certified radius."""

    schema = ATTACK

    def __init__(self, attack: Attack) -> None:
        self.attack, self.f = attack, attack.g.f
        self.samples_each = attack.n0 + attack.n * (1 + len(attack.factors))

    def keys(self, index: int) -> list[Key]:
        return [(float(index), factor) for factor in self.attack.factors]

    def rows(self, dataset: Dataset, index: int, device: torch.device, folder: RunFolder) -> list[dict[str, Any]]:
        assert isinstance(dataset, LabelledDataset)
        x, label, started = dataset[index].to(device), dataset.label(index), time.perf_counter()
        outcomes = self.attack(x, index, label)
        seconds = time.perf_counter() - started
        return [row(self.schema, o, index=index, label=label, predict=o.prediction, seconds=seconds) for o in outcomes]

    def report_samples(self, report: Callable[[int], None]) -> None:
        self.attack.g.on_samples = report


class UndefendedTask(Task):
    """DeepFool on the base classifier itself: one row, and no samples."""

    schema = UNDEFENDED
    samples_each = 1  # for the progress bar: one example

    def __init__(self, attack: DeepFool) -> None:
        self.attack, self.f = attack, attack.f

    def keys(self, index: int) -> list[Key]:
        return [(float(index),)]

    def rows(self, dataset: Dataset, index: int, device: torch.device, folder: RunFolder) -> list[dict[str, Any]]:
        assert isinstance(dataset, LabelledDataset)
        x, label, started = dataset[index].to(device), dataset.label(index), time.perf_counter()
        found = self.attack(x, label)
        seconds = time.perf_counter() - started
        answer = {"predict": found.prediction, "correct": found.prediction == label}
        return [row(self.schema, found, index=index, label=label, seconds=seconds, **answer)]

    def report_samples(self, report: Callable[[int], None]) -> None:
        """Nothing to report: the bar counts an example when it is done."""


def task_for(certifier: object, dataset: Dataset, eps: Any) -> Task:
    """The task of a certifier. Raises SettingError where the data set does not go with it."""
    if isinstance(certifier, CenterSmoothing | ExactCenterSmoothing):
        return CenterTask(certifier, _radii(eps))
    if not isinstance(certifier, Certify | ExactCertify | Predict | Attack | DeepFool):
        raise SettingError(f"certifier: {type(certifier).__name__} is not one that certify.py knows")
    if not isinstance(dataset, LabelledDataset):
        raise SettingError(f"dataset: {type(dataset).__name__} has no labels, which {type(certifier).__name__} needs")
    if isinstance(certifier, Attack):
        return AttackTask(certifier)
    if isinstance(certifier, DeepFool):
        return UndefendedTask(certifier)
    if isinstance(certifier, Certify):
        return VoteTask(certifier, CLASSIFICATION, certifier.n0 + certifier.n)
    return VoteTask(certifier, PREDICTION if isinstance(certifier, Predict) else EXACT, certifier.n)


def row(schema: Schema, statement: Any, *, seconds: float, **others: Any) -> dict[str, Any]:
    """A certificate's fields, and others, in the columns of the table."""
    fields = {f.name: getattr(statement, f.name) for f in dataclasses.fields(statement)}
    values = fields | others | {"seconds": seconds}
    return {name: values[name] for name in schema.columns}


def pending(rows: Iterable[dict[str, Any]], schema: Schema, done: set[Key]) -> list[dict[str, Any]]:
    """The rows that are not in the table yet."""
    return [line for line in rows if schema.key_of(line) not in done]


def _radii(eps: Any) -> list[float]:
    radii = eps if isinstance(eps, list) else [eps]
    for radius in radii:
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 <= radius < float("inf"):
            raise SettingError(f"eps: expected numbers of at least 0, as 0.1 or [0.1,0.2], got {radius}")
    if not radii:
        raise SettingError("eps: expected at least one number, as 0.1 or [0.1,0.2]")
    return list(dict.fromkeys(float(radius) for radius in radii))
