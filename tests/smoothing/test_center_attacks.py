"""Attacks on the certificates of a smoothed autoencoder: gradient ascent on how far its output moves."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from smoothing import L2, CenterSmoothing, DeterministicSplitting, ExactCenterSmoothing, Gaussian
from smoothing.sampling import noisy_inputs
from smoothing.streams import Stage, Stream

IMAGES = torch.from_numpy(load_digits().images / 16).float().flatten(1)
ATTACKED = 100


@pytest.fixture(scope="module")
def autoencoder():
    """64 -> 12 -> 64, trained for a moment under noise: steep enough for its output to move."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        f = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 64), nn.Sigmoid())
        optimizer = torch.optim.Adam(f.parameters(), 0.01)
        for _ in range(600):
            x = IMAGES[torch.randint(len(IMAGES), (128,))]
            loss = nn.functional.mse_loss(f(x + 0.2 * torch.randn_like(x)), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return f.eval().requires_grad_(False)


def steepest(f, noise, x, center, seed, samples=64):
    """Gradient of the mean distance of the noisy outputs at x from the center: (64,)."""
    (batch,) = noisy_inputs(x, noise, samples, Stream(seed, 0, Stage.ATTACK), samples)
    batch.requires_grad_(True)
    distance = torch.linalg.vector_norm(f(batch) - center, dim=1).sum()
    return torch.autograd.grad(distance, batch)[0].sum(dim=0)


def test_no_l2_attack_moves_the_center_out_of_its_certified_ball(autoencoder):
    sigma, eps, metric = 0.2, 0.3, L2()
    noise = Gaussian(sigma)
    settings = {"n": 1000, "delta": 0.15, "alpha1": 0.001, "alpha2": 0.001, "batch_size": 300}
    h = CenterSmoothing(autoencoder, noise, metric, m=500, **settings)
    moved, allowed = [], []
    for example in range(ATTACKED):
        x = IMAGES[example]
        certificate = h.certify(x, eps, example)
        assert certificate.status == "certified"
        there = x.clone()
        for step in range(10):
            there += (
                eps / 4 * nn.functional.normalize(steepest(autoencoder, noise, there, certificate.center, step), dim=0)
            )
            there = x + (there - x) * min(1.0, eps / float((there - x).norm()))
        smoothed = h.smooth(there, example=1000 + example)  # fresh draws, as the certificate says
        if not smoothed.abstained:
            moved.append(float(metric(smoothed.center[None], certificate.center[None])))
            allowed.append(certificate.eps_out)
    assert len(moved) >= ATTACKED * 0.9
    assert sum(m > a for m, a in zip(moved, allowed, strict=True)) == 0
    assert max(moved) > 0.2  # the attack does something


def test_no_l1_attack_breaks_a_deterministic_certificate(autoencoder):
    q, steps, metric = 16, 5, L2()
    noise = DeterministicSplitting(0.5, q, (64,))
    h = ExactCenterSmoothing(autoencoder, noise, metric)
    moved = []
    for example in range(ATTACKED):
        x = IMAGES[example]
        certificate = h.certify(x, steps / q)
        assert certificate.status == "certified"
        there = x.clone()
        for _ in range(steps):  # one grid step each, where the noisy outputs move farthest to first order
            (everything,) = noise.enumerate(there, 1000)
            distance = torch.linalg.vector_norm(
                autoencoder(everything.requires_grad_(True)) - certificate.center, dim=1
            )
            gradient = torch.autograd.grad(distance.sum(), everything)[0].sum(dim=0)
            step = gradient.sign() / q
            possible = ((there + step) >= 0) & ((there + step) <= 1)
            best = int(torch.where(possible, gradient.abs(), -1).argmax())
            there[best] = ((there[best] + step[best]) * q).round() / q
        assert float((there - x).abs().sum()) <= steps / q + 1e-6
        distance = float(metric(h.draw(there).center[None], certificate.center[None]))
        assert distance <= certificate.eps_out
        moved.append(distance)
    assert max(moved) > 0.2
