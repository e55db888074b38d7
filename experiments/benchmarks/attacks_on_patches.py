"""Attacks by patches, against band and block ablation: the classes, and the centers, of all noisy inputs are known."""

from collections.abc import Iterator

import torch
from torch import Tensor

from experiments.benchmarks.attacks_on_centers import moved_by
from experiments.benchmarks.attacks_on_classifiers import votes_lost
from experiments.benchmarks.attempts import WHOLE, Attempt, Objective, class_attempt, output_attempt
from smoothing import ExactCenterSmoothing, ExactCertify, FiniteNoise

BEYOND = 2  # sides beyond the certified one


def best_patch(objective: Objective, noise: FiniteNoise, x: Tensor, side: int) -> Tensor:
    """The image x with the patch that makes the sum of the objective over all noisy inputs largest: (C, H, W).

    At each place it tries black, white and, if there is a gradient at x, in each pixel the one that it prefers.

    Args:
        objective: of noisy inputs, (b, C, H, W) -> (b,).
        noise: band or block ablation.
        x: (C, H, W), in [0, 1].
        side: of the patch, in pixels. It is cut off at the image's borders if the image is narrower.
    """
    copies = noise.copies(x, 0, noise.steps).requires_grad_(True)
    total, contents = objective(copies).sum(), [torch.zeros_like(x), torch.ones_like(x)]
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total, copies)
        contents.append((gradient.nan_to_num(nan=0.0).sum(dim=0) > 0).float())
    best, most = x, -torch.inf
    for there in _patched(x, contents, side):
        found = sum(float(objective(part).sum()) for part in noise.copies(there, 0, noise.steps).split(WHOLE))
        if found > most:
            best, most = there, found
    return best


def _patched(x: Tensor, contents: list[Tensor], side: int) -> Iterator[Tensor]:
    height, width = (min(side, length) for length in x.shape[1:])
    for top in range(x.shape[1] - height + 1):
        for left in range(x.shape[2] - width + 1):
            for content in contents:
                there, where = x.clone(), (slice(None), slice(top, top + height), slice(left, left + width))
                there[where] = content[where]
                yield there


def attack_by_patches(certifier: ExactCertify, x: Tensor, example: int) -> list[Attempt]:
    """Patches of each side, to BEYOND the certified one or until the class changes. [] if x has no certificate.

    The class at each point is known exactly, so a single violation is a bug. `example` is ignored.
    """
    g, noise = certifier, certifier.noise
    assert isinstance(noise, FiniteNoise)
    at_x = g(x, example)
    attempts: list[Attempt] = []
    if not at_x.radius > 0:
        return attempts
    for side in range(1, min(int(at_x.radius) + BEYOND, max(x.shape[1:])) + 1):
        changed = g(best_patch(votes_lost(g, at_x), noise, x, side), example).prediction != at_x.prediction
        attempts.append(class_attempt(at_x.radius, float(side), changed, 0.0, 0.0))
        if changed:
            break
    return attempts


def attack_center_by_patches(h: ExactCenterSmoothing, x: Tensor, example: int) -> list[Attempt]:
    """Patches of each side that has a certificate, compared with it. A violation is a bug. `example` is ignored."""
    noise, draws, attempts = h.noise, h.draw(x), []
    assert isinstance(noise, FiniteNoise)
    for side in range(1, max(x.shape[1:]) + 1):
        certificate = h.read(draws, float(side))
        if certificate.status != "certified":
            break
        at_attack = h.draw(best_patch(moved_by(h.f.f, h.metric, draws.center), noise, x, side))
        if h.read(at_attack, 0.0).status == "abstained":
            continue  # an abstention makes no claim
        moved = float(h.metric(at_attack.center[None], draws.center[None]))
        attempts.append(output_attempt(float(side), float(side), moved, certificate.eps_out))
    return attempts
