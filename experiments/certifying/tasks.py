"""What a run does to one example, for each kind of certifier: sample, conclude, and make rows of the table."""

import time
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from experiments.certifying.deepfool import DeepFool
from experiments.certifying.outputs import CenterTask, input_radii
from experiments.certifying.task import Row, Task, row
from experiments.data import Dataset, LabelledDataset
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import ADAPTIVE, ATTACK, CLASSIFICATION, EXACT, PREDICTION, UNDEFENDED, Key, Schema
from experiments.training.base_function import example_of
from smoothing import (
    Adaptive,
    Attack,
    CenterSmoothing,
    Certify,
    ExactCenterSmoothing,
    ExactCertify,
    Predict,
    SettingError,
)
from smoothing.noise.l1 import L1Noise, lambda_of
from smoothing.sampling import Procedure


class VoteTask(Task):
    """A procedure of a smoothed classifier: one row, whose counts are all that was drawn."""

    def __init__(
        self, procedure: Adaptive | Certify | ExactCertify | Predict, schema: Schema, samples_each: int
    ) -> None:
        self.procedure, self.samples_each = procedure, samples_each
        self.schema = schema  # type: ignore[misc]
        self.f, self.engine, self.noise = procedure.g.f, procedure.g.engine, procedure.g.noise

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
                yield self.procedure.procedure(example_of(dataset, index, self.f.f, device), *begun[-1])

        for found, seconds in self.procedure.g.engine.run_all(procedures()):
            index, label = begun.popleft()
            answer = {"predict": found.prediction, "correct": is_correct(found, label)}
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
            x, started = example_of(dataset, index, self.f.f, device), time.perf_counter()
            rows = self.rows(dataset, index, x)
            seconds = time.perf_counter() - started
            yield [line | {"seconds": seconds} for line in rows]


class AttackTask(_OneByOne):
    """The attack: one row for each multiple of the certified radius."""

    schema = ATTACK

    def __init__(self, attack: Attack) -> None:
        self.attack, self.f, self.engine, self.noise = attack, attack.g.f, attack.g.engine, attack.g.noise
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
        answer = {"predict": found.prediction, "correct": is_correct(found, label)}
        return [row(self.schema, found, index=index, label=label, seconds=0.0, **answer)]


def is_correct(found: Any, label: int) -> bool:
    """Whether a statement names the label: never where it abstained or failed, whatever it holds as its class."""
    return bool(found.status not in ("abstained", "failed") and found.prediction >= 0 and found.prediction == label)


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
