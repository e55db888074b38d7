"""Trainers from papers: each loss against a plain re-derivation, image by image, and its gradient by differences."""

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import norm
from torch import nn

from experiments.training import (
    ConsistencyTrainer,
    MacerTrainer,
    SmoothAdvTrainer,
    SmoothMixTrainer,
    StabilityTrainer,
)
from experiments.training.step_noise import StepNoise
from smoothing import DeterministicSplitting, Gaussian, SettingError

B, CLASSES, SIGMA = 6, 4, 0.3
BASIC = {"epochs": 1, "batch_size": B, "lr": 0.1}
TRAINERS = {
    "consistency": ConsistencyTrainer(**BASIC, copies=3, weight=2.0, entropy=0.7),
    "stability": StabilityTrainer(**BASIC, weight=1.5),
    "macer": MacerTrainer(**BASIC, copies=5, weight=3.0, margin=4.0, temperature=2.0),
    "smoothadv": SmoothAdvTrainer(**BASIC, copies=2, steps=3, eps=0.4, warmup=4),
    "smoothmix": SmoothMixTrainer(**BASIC, copies=2, steps=2, step_size=0.5, weight=2.0, warmup=4),
}


@pytest.fixture
def model():
    torch.manual_seed(3)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    return layers.double()


@pytest.fixture
def batch():
    torch.manual_seed(4)
    return torch.rand(B, 1, 3, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])


def noise_of(law=None, **given):
    law = law or Gaussian(SIGMA)
    return StepNoise(law, **{"seed": 0, "epoch": 0, "step": 0, "whole": B, "mine": slice(0, B)} | given)


def probabilities(model, x, noise, copies, scale=1.0):
    """(copies, b, classes), by one forward pass for each copy."""
    with torch.no_grad():
        return np.stack([softmax(scale * model(noise(x, k=k)).numpy(), axis=1) for k in range(copies)])


def cross_entropy(p, label):
    return -math.log(p[label])


def divergence(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def entropy(p):
    return -sum(a * math.log(a) for a in p)


def plain_consistency(t, model, x, labels, noise, epoch):
    total = 0.0
    for i, p in enumerate(probabilities(model, x, noise, t.copies).transpose(1, 0, 2)):
        mean = p.mean(axis=0)
        total += np.mean([cross_entropy(each, labels[i]) for each in p])
        total += t.weight * np.mean([divergence(mean, each) for each in p]) + t.entropy * entropy(mean)
    return total / B


def plain_stability(t, model, x, labels, noise, epoch):
    (noisy,) = probabilities(model, x, noise, 1)
    with torch.no_grad():
        clean = softmax(model(x).numpy(), axis=1)
    each = [cross_entropy(p, y) + t.weight * -sum(p * np.log(q)) for p, q, y in zip(clean, noisy, labels, strict=True)]
    return np.mean(each)


def plain_macer(t, model, x, labels, noise, epoch):
    soft = probabilities(model, x, noise, t.copies).mean(axis=0)
    sharp = probabilities(model, x, noise, t.copies, t.temperature).mean(axis=0)
    total = 0.0
    for i, y in enumerate(labels.tolist()):
        total += cross_entropy(soft[i], y)
        second, first = np.sort(sharp[i])[-2:]
        radius = SIGMA / 2 * (norm.ppf(first) - norm.ppf(second))
        if epoch >= t.deferred and sharp[i].argmax() == y and radius <= SIGMA / 2 * t.margin:
            total += t.weight * (SIGMA / 2 * t.margin - radius)
    return total / B


def gradients(model, x, labels, noise, copies):
    """d/dx of -log of the mean probability of the label, by central differences: (b, 9)."""
    found = np.zeros((B, 9))
    for pixel in range(9):
        moved = []
        for h in (1e-5, -1e-5):
            at = x.flatten(1).clone()
            at[:, pixel] += h
            p = probabilities(model, at.view_as(x), noise, copies).mean(axis=0)
            moved.append(-np.log(p[np.arange(B), labels]))
        found[:, pixel] = (moved[0] - moved[1]) / 2e-5
    return found


def ascended(model, x, labels, noise, copies, steps, length, bound=None):
    start, at = x.flatten(1).numpy(), x.flatten(1).numpy().copy()
    for _ in range(steps):
        g = gradients(model, torch.from_numpy(at).view_as(x), labels, noise, copies)
        at = np.clip(at + length * g / np.linalg.norm(g, axis=1, keepdims=True), 0, 1)
        if bound is not None:
            far = np.linalg.norm(at - start, axis=1, keepdims=True)
            at = start + (at - start) * np.minimum(1, bound / np.maximum(far, 1e-300))
    return torch.from_numpy(at).view_as(x)


def plain_smoothadv(t, model, x, labels, noise, epoch):
    eps = t.eps * min(1, (epoch + 1) / t.warmup)
    attacked = ascended(model, x, labels, noise, t.copies, t.steps, 2 * eps / t.steps, eps)
    p = probabilities(model, attacked, noise, t.copies)
    return np.mean([cross_entropy(copy[i], labels[i]) for copy in p for i in range(B)])


def plain_smoothmix(t, model, x, labels, noise, epoch):
    attacked = ascended(model, x, labels, noise, t.copies, t.steps, t.step_size)
    share = noise.uniform_like(x.flatten(1)[:, :1]).double() / 2
    x_mix = (1 - share[:, :, None, None]) * x + share[:, :, None, None] * attacked
    clean, mixed = (probabilities(model, at, noise, t.copies) for at in (x, x_mix))
    weight, total = t.weight * min(1, (epoch + 1) / t.warmup), 0.0
    for i in range(B):
        mean = clean[:, i].mean(axis=0)
        target = (1 - float(share[i])) * mean + float(share[i]) / CLASSES
        for k in range(t.copies):
            total += cross_entropy(clean[k, i], labels[i]) / t.copies
            total += weight * (mean.argmax() == int(labels[i])) * divergence(target, mixed[k, i]) / t.copies
    return total / B


PLAIN = {
    "consistency": plain_consistency,
    "stability": plain_stability,
    "macer": plain_macer,
    "smoothadv": plain_smoothadv,
    "smoothmix": plain_smoothmix,
}


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_a_loss_is_that_of_its_paper(name, model, batch, epoch):
    trainer, noise = TRAINERS[name], noise_of(epoch=epoch)
    loss, scores = trainer.objective(model, *batch, noise, epoch)
    assert loss.item() == pytest.approx(PLAIN[name](trainer, model, *batch, noise, epoch), rel=1e-5)
    assert scores.shape == (B, CLASSES)
    with torch.no_grad():
        first = trainer.attack(model, *batch, noise, 0.1 * (epoch + 1)) if name == "smoothadv" else None
    if first is None:
        assert torch.allclose(scores, model(noise(batch[0])))


@pytest.mark.parametrize("name", ["consistency", "stability", "macer"])
def test_a_gradient_is_that_of_the_loss(name, model, batch):
    trainer, noise, weight = TRAINERS[name], noise_of(), model[3].weight
    loss, _ = trainer.objective(model, *batch, noise, 5)
    (gradient,) = torch.autograd.grad(loss, weight)
    direction = torch.randn_like(weight)
    values = []
    for h in (1e-5, -1e-5):
        with torch.no_grad():
            weight += h * direction
            values.append(PLAIN[name](trainer, model, *batch, noise, 5))
            weight -= h * direction
    assert float((gradient * direction).sum()) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_macer_defers_the_radius_and_survives_certain_predictions(model, batch):
    later, noise = MacerTrainer(**BASIC, copies=3, deferred=2), noise_of()
    plain = MacerTrainer(**BASIC, copies=3, weight=0.0)
    for epoch, same in ((0, True), (1, True), (2, False)):
        losses = [t.objective(model, *batch, noise, epoch)[0].item() for t in (later, plain)]
        assert (losses[0] == losses[1]) == same
    with torch.no_grad():
        model[3].weight *= 1e4  # all probabilities are 0 or 1, where Phi^-1 is infinite
    loss, _ = later.objective(model, *batch, noise, 2)
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_an_attack_stays_within_its_radius_and_in_the_image_and_raises_the_loss(model, batch):
    x, labels = batch
    trainer, noise = SmoothAdvTrainer(**BASIC, copies=4, steps=8, eps=0.6), noise_of()
    delta = trainer.attack(model, x, labels, noise, 0.6)
    assert (delta.flatten(1).norm(dim=1) <= 0.6 + 1e-9).all()
    assert (x + delta).min() >= 0
    assert (x + delta).max() <= 1
    before, after = (probabilities(model, at, noise, 4).mean(axis=0) for at in (x, x + delta))
    for i, y in enumerate(labels.tolist()):
        assert cross_entropy(after[i], y) > cross_entropy(before[i], y)


@pytest.mark.parametrize("name", ["smoothadv", "smoothmix"])
def test_a_network_without_a_gradient_is_attacked_in_some_direction(name, batch):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Parameter(torch.zeros(CLASSES))

        def forward(self, x):
            return self.scores + 0 * x.flatten(1)[:, :1].float()

    loss, _ = TRAINERS[name].objective(Constant(), batch[0].float(), batch[1], noise_of(), 0)
    assert loss.isfinite()


def test_consistency_trains_under_splitting_noise_and_attacks_do_not(model):
    x, labels = torch.randint(17, (B, 1, 3, 3)).double() / 16, torch.tensor([0, 1, 2, 3, 0, 1])
    noise = noise_of(DeterministicSplitting(0.5, 16, (1, 3, 3)))
    loss, _ = TRAINERS["consistency"].objective(model, x, labels, noise, 0)
    assert loss.isfinite()
    for name in ("smoothadv", "smoothmix"):
        with pytest.raises(SettingError, match="has no gradient"):
            TRAINERS[name].objective(model, x, labels, noise, 0)


@pytest.mark.parametrize(
    ("cls", "wrong", "told"),
    [
        (ConsistencyTrainer, {"copies": 1}, "trainer.copies: expected at least 2, got 1"),
        (ConsistencyTrainer, {"weight": -1.0}, "trainer.weight: expected at least 0"),
        (StabilityTrainer, {"stability": 2.0}, "trainer.stability: expected 0 with StabilityTrainer"),
        (ConsistencyTrainer, {"stability": 2.0}, "trainer.stability: expected 0 with ConsistencyTrainer"),
        (MacerTrainer, {"stability": 2.0}, "trainer.stability: expected 0 with MacerTrainer"),
        (SmoothAdvTrainer, {"stability": 2.0}, "trainer.stability: expected 0 with SmoothAdvTrainer"),
        (SmoothMixTrainer, {"stability": 2.0}, "trainer.stability: expected 0 with SmoothMixTrainer"),
        (MacerTrainer, {"margin": 0.0}, "trainer.margin: expected a positive number"),
        (SmoothAdvTrainer, {"eps": float("inf")}, "trainer.eps: expected a positive number, got inf"),
        (SmoothAdvTrainer, {"steps": 0}, "trainer.steps: expected at least 1"),
        (SmoothMixTrainer, {"warmup": 0}, "trainer.warmup: expected at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(cls, wrong, told):
    with pytest.raises(SettingError, match=told):
        cls(**BASIC, **wrong)
