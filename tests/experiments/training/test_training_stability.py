"""Stability training, the cosine schedule, Nesterov momentum and noise for each image of a batch."""

import copy
import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from experiments.data import Digits
from experiments.training import checkpoints, loop, step_noise
from experiments.training.base_function import new_model
from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Purpose, Trainer
from models.classifiers import ResNetCIFAR
from smoothing import DeterministicSplitting, Gaussian, SettingError
from smoothing.streams import BlockSource

ROOT = Path(__file__).parents[3]
QUICK = ("trainer.epochs=3", "trainer.lr_step=2", "device=cpu")


def log(folder):
    with (folder / "training.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def stored(folder):
    return load_file(folder / checkpoints.WEIGHTS)


def probabilities(scores):
    z = scores.detach().double().numpy()
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def copies(first, second):
    return lambda x, purpose: {Purpose.NOISE: first, Purpose.SECOND_NOISE: second}[purpose]


@pytest.mark.parametrize("weight", [0.0, 0.5, 6.0])
def test_the_loss_is_the_papers(weight):
    """The loss, in NumPy, image by image, from two forward passes of a network with batch normalisation."""
    torch.manual_seed(0)
    model = ResNetCIFAR(10, 1, (0.3,), (0.4,), depth=8).train()
    x, labels = torch.rand(6, 1, 8, 8), torch.arange(6)
    first, second = x + 0.2 * torch.randn_like(x), x + 0.2 * torch.randn_like(x)
    other = copy.deepcopy(model)
    p, q = probabilities(other(first)), probabilities(other(second))
    expected = [-np.log(p[i, i]) + weight * sum(p[i] * np.log(p[i] / q[i])) for i in range(6)]
    trainer = Trainer(1, 6, 0.1, stability=weight)
    loss, scores = trainer.objective(model, x, labels, copies(first, second), epoch=0)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert np.allclose(probabilities(scores), p, rtol=1e-4, atol=1e-7)
    passes = model.features[2].num_batches_tracked.item()
    assert passes == (2 if weight else 1)  # one forward pass per copy, so each copy has its own normalisation


def test_the_divergence_is_of_the_first_copy_from_the_second():
    p, q = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.5, 0.5]])
    loss, _ = Trainer(1, 1, 0.1, stability=2.0).objective(
        nn.Identity(), p, torch.tensor([0]), copies(p.log(), q.log()), epoch=0
    )
    divergence = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert loss.item() == pytest.approx(-math.log(0.9) + 2 * divergence, rel=1e-5)


def by_hand(plain, weight):
    """The first epoch of digits.yaml, spelled out: Adam on shuffled batches of 100 with Gaussian noise."""
    data, noise, trainer = Digits(), Gaussian(0.25), Trainer(1, 100, 0.01)
    images = data.training()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = new_model(plain, data)
    optimizer = torch.optim.Adam(model.parameters(), 0.01, weight_decay=1e-4)
    order = np.random.default_rng(trainer.key(Purpose.ORDER)).permutation(len(images))
    for step, first in enumerate(range(0, len(order) - 99, 100)):
        chosen = torch.from_numpy(order[first : first + 100])
        x, labels = images.pixels[chosen] / 16, images.labels[chosen]
        p, q = (
            torch.log_softmax(model(noise.sample(x, 1, BlockSource(trainer.key(purpose, 0, step), x.device))[0]), dim=1)
            for purpose in (Purpose.NOISE, Purpose.SECOND_NOISE)
        )
        loss = nn.functional.nll_loss(p, labels)
        if weight:
            loss = loss + weight * (p.exp() * (p - q)).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.state_dict()


def test_without_stability_it_is_plain_training_bit_for_bit(trained, composed):
    found = stored(trained("trainer.epochs=1"))
    expected = by_hand(composed(), 0)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_with_stability_gradients_flow_through_both_copies(trained, composed):
    found = stored(trained("trainer.epochs=1", "trainer.stability=6"))
    assert all(torch.allclose(found[name], value, atol=1e-4) for name, value in by_hand(composed(), 6).items())
    assert not torch.allclose(found["layers.7.weight"], by_hand(composed(), 0)["layers.7.weight"], atol=1e-3)


def test_the_copies_are_independent_and_the_first_is_that_of_plain_training(trained, monkeypatch):
    seen = []
    original = StepNoise.__call__

    def spy(noise, x, purpose):
        out = original(noise, x, purpose)
        seen.append((purpose, out - x))
        return out

    monkeypatch.setattr(StepNoise, "__call__", spy)
    trained("trainer.stability=6", "trainer.epochs=1")
    assert [purpose for purpose, _ in seen] == [Purpose.NOISE, Purpose.SECOND_NOISE] * 12
    first, second = (torch.cat([noise.flatten() for _, noise in seen[part::2]]) for part in (0, 1))
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.02
    assert second.std().item() == pytest.approx(0.25, rel=0.02)
    del seen[:]
    trained("trainer.epochs=1")
    assert torch.equal(torch.cat([noise.flatten() for _, noise in seen]), first)


def test_the_weight_belongs_to_what_a_checkpoint_is_found_by(trained):
    folder = trained("trainer.stability=6")
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert metadata["trained_as"]["trainer"]["stability"] == 6.0
    assert trained() != folder
    assert float(log(folder)[2]["loss"]) < float(log(folder)[0]["loss"])


def test_it_goes_on_after_the_last_finished_epoch(trained, tmp_path, monkeypatch):
    whole = trained("trainer.stability=6", root=tmp_path / "whole")
    epoch_of = loop._epoch

    def stopped(fabric, job, model, optimizer, epoch):
        result = epoch_of(fabric, job, model, optimizer, epoch)
        if epoch == 1:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(loop, "_epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained("trainer.stability=6")
    monkeypatch.setattr(loop, "_epoch", epoch_of)
    resumed = trained("trainer.stability=6")
    assert log(resumed) == log(whole)
    assert all(torch.equal(stored(resumed)[name], value) for name, value in stored(whole).items())


def test_each_image_of_a_batch_has_noise_of_its_own():
    """Deterministic splitting noise has few levels, and draws one per image of a batch."""
    noise = DeterministicSplitting(1.0, 16, (1, 8, 8))
    key, x = Trainer(1, 60, 0.1).key(Purpose.NOISE), torch.full((60, 1, 8, 8), 0.5)
    whole = step_noise._noisy(x, noise, BlockSource(key, torch.device("cpu")), 60, slice(0, 60))
    levels = {tuple(image.flatten().tolist()) for image in noise.enumerate(x[0], 64) for image in image}
    drawn = [tuple(image.flatten().tolist()) for image in whole]
    assert set(drawn) <= levels
    assert len(set(drawn)) > 20
    part = step_noise._noisy(x[20:40], noise, BlockSource(key, torch.device("cpu")), 60, slice(20, 40))
    assert torch.equal(part, whole[20:40])


def test_it_trains_under_deterministic_splitting_noise(trained):
    folder = trained("noise=dssn", "noise.sigma=0.5", "trainer.stability=1")
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert metadata["trained_as"]["noise"]["type"] == "DeterministicSplitting"
    assert metadata["test_accuracy_under_noise"] > 0.3


def test_the_learning_rate_follows_a_cosine():
    trainer = Trainer(120, 64, 0.1, schedule="cosine")
    parameter = nn.Parameter(torch.zeros(1))
    (optimizer,) = trainer.make_optimizers(nn.ParameterList([parameter]))
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 120)
    for epoch in range(120):
        assert trainer.learning_rate(epoch) == pytest.approx(torchs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        torchs.step()
    assert trainer.learning_rate(0) == 0.1
    assert trainer.learning_rate(60) == pytest.approx(0.05)
    assert 0 < trainer.learning_rate(119) < 2e-5


def test_nesterovs_momentum_looks_ahead():
    """Two steps along a constant gradient 1: lr (1 + m), then lr (1 + m + m^2)."""
    parameter = nn.Parameter(torch.zeros(1))
    trainer = Trainer(1, 1, 0.1, nesterov=True, momentum=0.5, weight_decay=0)
    (optimizer,) = trainer.make_optimizers(nn.ParameterList([parameter]))
    moved = []
    for _ in range(2):
        before = parameter.item()
        parameter.grad = torch.ones(1)
        optimizer.step()
        moved.append(before - parameter.item())
    assert moved == pytest.approx([0.1 * 1.5, 0.1 * 1.75])


def test_the_papers_settings_are_those_of_sgd_cosine(composed):
    plain = composed("trainer=sgd_cosine", "model=wide_resnet_40_2", "dataset=cifar10")
    expected = {"epochs": 120, "batch_size": 64, "lr": 0.1, "schedule": "cosine", "optimizer": "sgd", "momentum": 0.9}
    assert (expected | {"nesterov": True, "weight_decay": 1e-4}).items() <= plain.trainer.arguments.items()
    assert {"crop_padding": 4, "flip": True, "stability": 0.0}.items() <= plain.trainer.arguments.items()
    assert (plain.model.get("depth"), plain.model.get("width")) == (40, 2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("+trainer.schedule=linear",), r"trainer\.schedule: expected step or cosine, got linear"),
        (("+trainer.nesterov=true",), r"trainer\.nesterov: .*adam"),
        (("+trainer.nesterov=true", "trainer.optimizer=sgd", "trainer.momentum=0"), r"trainer\.nesterov: .*momentum"),
        (("trainer.stability=-1",), r"trainer\.stability: expected a finite number >= 0, got -1"),
        (("trainer.stability=nan",), r"trainer\.stability: expected a finite number >= 0, got nan"),
        (("trainer.stability=6", "trainer.noisy=false"), r"trainer\.stability: expected 0 with trainer.noisy=false"),
    ],
)
def test_refused_with_one_line(trained, tmp_path, overrides, message):
    with pytest.raises(SettingError, match=message) as error:
        trained(*overrides)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for devices in (1, 2):
        overrides = (*QUICK, f"checkpoints.root={tmp_path / str(devices)}", f"trainer.devices={devices}")
        command = [sys.executable, str(ROOT / "train.py"), *overrides, "trainer.stability=6"]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    (one,), (two,) = ((tmp_path / str(devices)).glob("Digits*") for devices in (1, 2))
    assert json.loads((two / "checkpoint.json").read_text())["processes"] == 2
    for alone, together in zip(log(one), log(two), strict=True):
        assert float(together["loss"]) == pytest.approx(float(alone["loss"]), rel=5e-6)
    assert all(torch.allclose(stored(one)[name], stored(two)[name], rtol=0, atol=1e-4) for name in stored(one))


@pytest.mark.gpu
def test_on_a_gpu(trained):
    folder = trained("device=cuda", "model=resnet20", "trainer.stability=6")
    assert json.loads((folder / "checkpoint.json").read_text())["trainer"]["precision"] == "32-true"
    assert float(log(folder)[2]["loss"]) < float(log(folder)[0]["loss"])
