"""The record of an attempt to break a certificate, and the two l1 attacks shared by classifiers and centers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from smoothing import DeterministicSplitting, Noise
from smoothing.cursor import noisy_inputs
from smoothing.streams import BLOCK, Stage, Stream

Objective = Callable[[Tensor], Tensor]  # noisy inputs (b, *input shape) -> (b,); larger is better for the attack
SAMPLES = 2 * BLOCK  # noisy copies per gradient
WHOLE = 4096  # noisy copies per batch when all copies are evaluated


@dataclass(frozen=True)
class Attempt:
    """One attacked point x' of one certificate.

    Attributes:
        factor: distance divided by the certified input radius.
        distance: distance of x' from x, in the noise's threat norm and the units of the input.
        moved: distance of the smoothed output from the one at x. For a classifier, 1 if the class certainly differs.
        bound: the certified output radius. For a classifier, the certified input radius.
        ratio: how close the attempt came, where 1 is the certified bound: moved / bound. For a classifier,
            bound / distance if the class changed, else 0.
        violated: the certificate is false for this x'.
        level_at_x: probability that the certificate is false because of the draws at x, whatever x' is.
        level_at_attack: probability that this attempt counts as a violation because of the draws at x'.
    """

    factor: float
    distance: float
    moved: float
    bound: float
    ratio: float
    violated: bool
    level_at_x: float
    level_at_attack: float


def class_attempt(radius: float, distance: float, changed: bool, at_x: float, at_attack: float) -> Attempt:
    """An attempt on a classifier's certificate."""
    violated = changed and distance <= radius
    ratio = radius / distance if changed else 0.0
    return Attempt(distance / radius, distance, float(changed), radius, ratio, violated, at_x, at_attack)


def output_attempt(
    eps: float, distance: float, moved: float, bound: float, at_x: float = 0.0, at_attack: float = 0.0
) -> Attempt:
    """An attempt on a certified output radius, within eps. The ratio is 0 if the center did not move."""
    ratio = 0.0 if moved == 0 else moved / bound if bound > 0 else float("inf")
    violated = moved > bound and distance <= eps
    return Attempt(distance / eps, distance, moved, bound, ratio, violated, at_x, at_attack)


def noisy_gradient(objective: Objective, noise: Noise, x: Tensor, stream: Stream) -> Tensor:
    """Gradient of the sum of an objective over noisy copies of x, with respect to those copies: (*shape).

    Under additive noise this is the gradient with respect to x. Under splitting noise it is an approximation.
    """
    (batch,) = noisy_inputs(x, noise, SAMPLES, stream, SAMPLES)
    total = objective(batch.requires_grad_(True)).sum()
    return torch.autograd.grad(total, batch)[0].sum(dim=0)


def l1_path(
    objective: Objective, noise: Noise, x: Tensor, step: float, steps: int, example: int, *, within_image: bool
) -> Iterator[Tensor]:
    """Steepest ascent in l1: each step moves the coordinate with the largest gradient, and never back.

    Args:
        objective: its mean over noisy copies is maximised.
        noise: noise of the copies.
        x: (*shape).
        step: l1 length of a step. Point k of the path is k steps from x.
        steps: largest number of points.
        example: example number that selects the streams. Step k uses seed k.
        within_image: whether to keep all coordinates in [0, 1].
    """
    there = x.clone()
    for k in range(steps):
        gradient = noisy_gradient(objective, noise, there, Stream(k, example, Stage.ATTACK))
        moves = step * gradient.sign()
        allowed = (moves != 0) & (moves * (there - x) >= 0)
        if within_image:
            allowed &= (there + moves >= -1e-6) & (there + moves <= 1 + 1e-6)
        if not bool(allowed.any()):
            return
        best = int(torch.where(allowed, gradient.abs(), -1).argmax())
        there = there.clone()
        there.view(-1)[best] += moves.view(-1)[best]
        yield there


def exact_path(objective: Objective, noise: DeterministicSplitting, x: Tensor, steps: int) -> Iterator[Tensor]:
    """Greedy ascent on the grid of splitting noise: each step is the best of all single grid steps away from x.

    A step changes few noisy copies (Levine and Feizi 2021, eq. 16), so every step is evaluated exactly.

    Args:
        objective: its sum over all noisy copies is maximised. It needs no gradient.
        noise: splitting noise on images k / levels.
        x: (*shape), on the grid.
        steps: largest number of points. Point k is k grid steps from x in l1.
    """
    start = (x * noise.levels).round().long().flatten()
    there = start.clone()
    for _ in range(steps):
        away = torch.sign(there - start)
        moves = [
            (i, sign)
            for sign in (1, -1)
            for i in range(len(there))
            if 0 <= int(there[i]) + sign <= noise.levels and int(away[i]) != -sign
        ]
        if not moves:
            return
        here = noise.copies(_image(there, noise, x), 0, noise.steps)
        after, before, owners = [], [], []
        for number, (i, sign) in enumerate(moves):
            moved = there.clone()
            moved[i] += sign
            copies = noise.copies(_image(moved, noise, x), 0, noise.steps)
            rows = (copies != here).flatten(1).any(dim=1).nonzero()[:, 0]
            after.append(copies[rows])
            before.append(here[rows])
            owners.append(torch.full_like(rows, number))
        values = [torch.cat([objective(part) for part in torch.cat(parts).split(WHOLE)]) for parts in (after, before)]
        gains = torch.zeros(len(moves), dtype=torch.float64)
        gains.index_add_(0, torch.cat(owners), (values[0] - values[1]).double())
        i, sign = moves[int(gains.argmax())]
        there = there.clone()
        there[i] += sign
        yield _image(there, noise, x)


def _image(numerators: Tensor, noise: DeterministicSplitting, like: Tensor) -> Tensor:
    return (numerators.to(like.dtype) / noise.levels).view_as(like)


def l1_distance(x: Tensor, there: Tensor) -> float:
    """The l1 distance of two inputs, (*shape), in float64."""
    return float((there.double() - x.double()).abs().sum())


def l2_distance(x: Tensor, there: Tensor) -> float:
    """The l2 distance of two inputs, (*shape), in float64."""
    return float((there.double() - x.double()).norm())
