"""Replayed steps: those of one GPU give the weights of the steps as written, and other steps run as written."""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional

from experiments.data.base import Images
from experiments.training import (
    AutoencoderTrainer,
    ConsistencyTrainer,
    MacerTrainer,
    SmoothAdvTrainer,
    SmoothMixTrainer,
    StabilityTrainer,
    graphed,
    loop,
)
from experiments.training.graphed import GraphedSteps, can_be_replayed, keep_state_on
from experiments.training.step import Step
from experiments.training.step_noise import Purpose, StepNoise
from experiments.training.trainer import Trainer
from models.classifiers import LeNet, ResNetCIFAR
from smoothing import DeterministicSplitting, Gaussian, Splitting, Uniform
from smoothing.streams import BlockSource

B, STEPS = 16, 24
SETTINGS = {"epochs": 2, "batch_size": B, "lr": 0.01}
TRAINERS = {
    "gaussian": Trainer(**SETTINGS, flip=True),
    "two noisy copies": Trainer(**SETTINGS, stability=6.0, clip_norm=1.0),
    "adam": Trainer(**SETTINGS, optimizer="adam"),
    "bfloat16": Trainer(**SETTINGS, precision="bf16-mixed"),
    "clean": Trainer(**SETTINGS, noisy=False),
    "stability": StabilityTrainer(**SETTINGS),
    "consistency": ConsistencyTrainer(**SETTINGS),
    "macer": MacerTrainer(**SETTINGS, copies=4),
    "smoothadv": SmoothAdvTrainer(**SETTINGS, steps=2),
    "smoothmix": SmoothMixTrainer(**SETTINGS, steps=2),
}


@dataclass(frozen=True)
class Own(Trainer):
    """An objective that says nothing about replays."""

    def objective(self, model, x, labels, noise, epoch):
        return super().objective(model, x, labels, noise, epoch)


@dataclass(frozen=True)
class OwnReplayed(Own):
    """It waits for the GPU, although it says that it can be replayed."""

    replayable: ClassVar[bool] = True

    def objective(self, model, x, labels, noise, epoch):
        loss, scores = super().objective(model, x, labels, noise, epoch)
        return loss * (1.0 if loss.item() > 0 else 2.0), scores


@dataclass(frozen=True)
class OwnForbidden(OwnReplayed):
    """It does what no recording may contain."""

    def objective(self, model, x, labels, noise, epoch):
        torch.cuda.synchronize()
        return Trainer.objective(self, model, x, labels, noise, epoch)


class Dropout(nn.Module):
    """A network with random numbers of torch's own generator."""

    def __init__(self):
        super().__init__()
        self.network, self.dropout = lenet(), nn.Dropout(0.2)

    def forward(self, x):
        return self.network(self.dropout(x))


class Waiting(nn.Module):
    """A network that waits for the GPU in each pass, and has dropout."""

    def __init__(self):
        super().__init__()
        self.network, self.dropout = lenet(), nn.Dropout(0.2)

    def forward(self, x):
        return self.network(self.dropout(x) if x.max().item() > 0 else x)


def lenet():
    return LeNet(10, 1, [0.0], [1.0])


def step_of(law=None, step=2):
    return StepNoise(law or Gaussian(0.5), 0, 1, step, B, slice(0, B))


# On any machine.


def test_what_may_be_replayed():
    network, trainer = lenet(), TRAINERS["gaussian"]
    (optimizer,) = trainer.make_optimizers(network)
    assert can_be_replayed(trainer, network, optimizer, 20)
    assert not can_be_replayed(trainer, network, optimizer, 19)
    for other in (Own(**SETTINGS), replace(trainer, ema_decay=0.9), replace(trainer, precision="16-mixed")):
        assert not can_be_replayed(other, network, optimizer, 20)
    assert can_be_replayed(OwnReplayed(**SETTINGS), network, optimizer, 20)
    network.layers[0].replayable = False
    assert not can_be_replayed(trainer, network, optimizer, 20)


@pytest.mark.parametrize("name", TRAINERS)
def test_every_trainer_says_that_it_may(name):
    network = lenet()
    (optimizer,) = TRAINERS[name].make_optimizers(network)
    keep_state_on(torch.device("cuda"), [optimizer])  # no steps yet
    assert can_be_replayed(TRAINERS[name], network, optimizer, 20)


def test_adam_counts_on_the_host_unless_on_a_gpu():
    network = lenet()
    optimizer = torch.optim.Adam(network.parameters())
    functional.cross_entropy(network(torch.rand(2, 1, 28, 28)), torch.tensor([0, 1])).backward()
    optimizer.step()
    assert not can_be_replayed(TRAINERS["adam"], network, optimizer, 20)
    keep_state_on(torch.device("cpu"), [optimizer])
    assert not optimizer.param_groups[0]["capturable"]
    optimizer.step()


def test_a_replay_has_the_keys_of_its_own_step(monkeypatch):
    """With a recording that remembers seeds instead of launching kernels."""
    seeds = {}

    class Remembered:
        def __init__(self, number):
            self.number = number

        def manual_seed(self, seed):
            seeds[self.number] = seed

    recording = object.__new__(graphed._Recording)
    recording.x, recording.targets = torch.zeros(B, 1, 2, 2), torch.zeros(B)
    recording.draws = [(Purpose.UNIFORM, 0), (Purpose.NOISE, 0), (Purpose.NOISE, 3)]
    recording.generators = [Remembered(k) for k in range(3)]
    replays = []
    recording.graph = SimpleNamespace(replay=lambda: replays.append((recording.x.clone(), dict(seeds))))
    for step in (5, 6):
        recording.replay(torch.full((B, 1, 2, 2), step), torch.ones(B), step_of(step=step))
    assert [x.unique().tolist() for x, _ in replays] == [[5], [6]]
    for step, (_, used) in zip((5, 6), replays, strict=True):
        keys = [step_of(step=step).key(purpose, k) for purpose, k in recording.draws]
        assert [used[k] for k in range(3)] == [int(key.generate_state(1, np.uint64)[0] >> 1) for key in keys]
    assert len({*replays[0][1].values(), *replays[1][1].values()}) == 6
    assert not recording.fits(torch.zeros(B - 1, 1, 2, 2), torch.zeros(B))
    assert not recording.fits(torch.zeros(B, 1, 2, 2), torch.zeros(B, dtype=torch.int64))


@pytest.mark.parametrize("faulty", [None, "waits", "cannot be recorded"])
def test_the_order_of_events(monkeypatch, faulty):
    """The first step as written, the second watched, the third recorded and replayed, the others replayed."""
    events = []

    class Fake:
        def __init__(self, x, targets, draws):
            events.append(("draws", draws))

        def record(self, step, noise):
            if faulty == "cannot be recorded":
                raise RuntimeError
            events.append("recorded")

        def fits(self, x, targets):
            return len(x) == B

        def replay(self, x, targets, noise):
            events.append(("replayed", noise.step))

    def written(x, targets, noise):
        noise(x)
        events.append(("written", noise.step))

    def watched(self, x, targets, noise):
        self._step(x, targets, noise)
        events.append("watched")
        return faulty == "waits"

    monkeypatch.setattr(graphed, "_Recording", Fake)
    monkeypatch.setattr(GraphedSteps, "_waits", watched)
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    steps = GraphedSteps(written, torch.device("cuda"))
    for step in range(5):
        steps(torch.zeros(B, 1, 2, 2), torch.zeros(B), step_of(step=step))
    draws = ("draws", [(Purpose.NOISE, 0)])
    ends = {
        "waits": [],
        "cannot be recorded": [draws],
        None: [draws, "recorded"],
    }
    how = "replayed" if faulty is None else "written"
    begun = [("written", 0), ("written", 1), "watched"]
    assert events == [*begun, *ends[faulty], *((how, step) for step in (2, 3, 4))]


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(1), lambda: None])
def test_a_step_with_random_numbers_of_the_host_is_not_recorded(monkeypatch, draw):
    """A replay would repeat them."""
    recorded = []

    def written(x, targets, noise):
        draw()

    def watched(self, x, targets, noise):
        self._step(x, targets, noise)
        return False

    monkeypatch.setattr(GraphedSteps, "_waits", watched)
    monkeypatch.setattr(GraphedSteps, "_recorded", lambda *_: recorded.append(1))
    steps = GraphedSteps(written, torch.device("cuda"))
    for step in range(4):
        steps(torch.zeros(B), torch.zeros(B), step_of(step=step))
    assert len(recorded) == (draw() is None)


def test_noise_from_another_source_is_that_of_its_key():
    """A source is asked for each draw, also for noise that an attack keeps."""
    asked = []

    def source(noise, purpose, k, device):
        asked.append((purpose, k))
        return BlockSource(noise.key(purpose, k), device)

    x, noise = torch.rand(B, 1, 2, 2), step_of()
    watched = replace(noise, source=source)
    kept = watched.drawn_once()
    for k in (0, 0, 1):
        assert torch.equal(watched(x, k=k), noise(x, k=k))
        assert torch.allclose(kept(x, k=k), noise(x, k=k))
    assert torch.equal(watched.uniform_like(x), noise.uniform_like(x))
    drawn, kept_once = [(Purpose.NOISE, 0)] * 2 + [(Purpose.NOISE, 1)], [(Purpose.NOISE, 0), (Purpose.NOISE, 1)]
    assert sorted(asked) == sorted([*drawn, *kept_once, (Purpose.UNIFORM, 0)])


# On a GPU.


def after_an_epoch(trainer, network, law, monkeypatch, *, replays, epoch=1):
    """The weights, the loss and the accuracy after an epoch on random images, and how many steps were recorded."""
    monkeypatch.setattr(graphed, "WORTH", 1 if replays else 10**9)
    recorded, record = [], graphed._Recording.record

    def counted(self, step, noise):
        record(self, step, noise)
        recorded.append(noise.step)

    monkeypatch.setattr(graphed._Recording, "record", counted)
    device, draw = torch.device("cuda"), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    torch.cuda.manual_seed(0)
    pixels = torch.randint(256, (B * STEPS, 1, 28, 28), generator=draw, dtype=torch.uint8)
    images = Images(pixels.to(device), torch.randint(10, (B * STEPS,), generator=draw).to(device))
    network = network().to(device)
    optimizers = trainer.make_optimizers(network)
    keep_state_on(device, optimizers)
    fabric = Fabric(accelerator="cuda", devices=1, precision=trainer.precision)
    model, *wrapped = fabric.setup(Step(network, fabric.strategy.precision), *optimizers)
    job = loop.Job(None, trainer, SimpleNamespace(levels=255), images, law if trainer.noisy else None, network, Path())
    judged = loop._epoch(fabric, job, model, wrapped[0], epoch)
    monkeypatch.setattr(graphed._Recording, "record", record)
    return {name: value.clone() for name, value in network.state_dict().items()}, judged, recorded


def require_equal(trainer, network, law, monkeypatch, recordings):
    torch.backends.cudnn.deterministic, before = True, torch.backends.cudnn.deterministic
    try:
        written, judged, none = after_an_epoch(trainer, network, law, monkeypatch, replays=False)
        replayed, judged_too, recorded = after_an_epoch(trainer, network, law, monkeypatch, replays=True)
    finally:
        torch.backends.cudnn.deterministic = before
    assert none == []
    assert recorded == recordings
    assert judged == pytest.approx(judged_too, rel=1e-6)
    for name, value in written.items():
        assert torch.allclose(replayed[name].double(), value.double(), rtol=1e-5, atol=1e-7), name


@pytest.mark.gpu
@pytest.mark.parametrize("name", TRAINERS)
def test_replayed_steps_give_the_same_weights(monkeypatch, name):
    require_equal(TRAINERS[name], lenet, Gaussian(0.5), monkeypatch, [2])


@pytest.mark.gpu
@pytest.mark.parametrize(
    "law", [Uniform(0.5), Splitting(0.5, 255), DeterministicSplitting(0.5, 255, (1, 28, 28))], ids=repr
)
def test_under_other_noises(monkeypatch, law):
    require_equal(TRAINERS["two noisy copies"], lenet, law, monkeypatch, [2])


@pytest.mark.gpu
def test_batch_normalisation(monkeypatch):
    def network():
        return ResNetCIFAR(10, 1, [0.0], [1.0], depth=8)

    require_equal(TRAINERS["gaussian"], network, Gaussian(0.5), monkeypatch, [2])


@pytest.mark.gpu
def test_an_autoencoder(monkeypatch):
    def network():
        return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

    trainer = AutoencoderTrainer(**SETTINGS, optimizer="adam")
    require_equal(trainer, network, Gaussian(0.5), monkeypatch, [2])


@pytest.mark.gpu
def test_dropout(monkeypatch):
    require_equal(TRAINERS["gaussian"], Dropout, Gaussian(0.5), monkeypatch, [2])


@pytest.mark.gpu
def test_what_cannot_be_recorded_runs_as_written(monkeypatch):
    require_equal(OwnForbidden(**SETTINGS), Dropout, Gaussian(0.5), monkeypatch, [])


@pytest.mark.gpu
@pytest.mark.parametrize("trainer", [TRAINERS["gaussian"], OwnReplayed(**SETTINGS)], ids=["network", "objective"])
def test_what_waits_runs_as_written(monkeypatch, trainer):
    network = lenet if isinstance(trainer, OwnReplayed) else Waiting
    require_equal(trainer, network, Gaussian(0.5), monkeypatch, [])
