"""Attacks on certificates of smoothed classifiers, within the certified radius and beyond it."""

import torch
from torch import Tensor
from torch.nn import functional

from experiments.benchmarks.attempts import (
    Attempt,
    Objective,
    class_attempt,
    exact_path,
    l1_distance,
    l1_path,
    l2_distance,
)
from smoothing import (
    ABSTAIN,
    Adaptive,
    Certify,
    ExactCertify,
    FiniteNoise,
    SmoothedClassifier,
    projected_gradient_ascent,
)

FACTORS = (0.5, 0.9, 1.0, 1.1, 1.15, 1.25, 1.5, 2.0, 3.0)  # of the certified l2 radius
EXACT_REACH = 3  # times the certified radius, on the grid
PGD_STEPS = 10
PGD_SAMPLES = 128
L1_STEPS = 20  # of a path, where steps may have any length
LEVEL = 1e-6  # of Predict at x': a change of class is as good as a fact
PREDICT_SAMPLES = 4000


def attack_l2(certifier: Certify | Adaptive, x: Tensor, example: int) -> list[Attempt]:
    """Projected gradient ascent within each of FACTORS times the certified l2 radius; [] where there is none.

    Args:
        certifier: to break; its class at x counts, right or wrong.
        x: (*input shape).
        example: whose streams are used.
    """
    at_x, g = certifier(x, example, ABSTAIN), certifier
    if not at_x.radius > 0:
        return []
    attempts = []
    for factor in FACTORS:
        there = projected_gradient_ascent(
            g.f.f,
            g.noise,
            x,
            at_x.prediction,
            factor * at_x.radius,
            steps=PGD_STEPS,
            step_size=factor * at_x.radius / 4,
            samples=PGD_SAMPLES,
            seed=g.seed,
            example=example,
        )
        changed = _surely_another(g, there, example, at_x.prediction)
        attempts.append(class_attempt(at_x.radius, l2_distance(x, there), changed, certifier.alpha, LEVEL))
    return attempts


def attack_l1(certifier: Certify, x: Tensor, example: int, reach: float, grid: int | None = None) -> list[Attempt]:
    """Steepest l1 ascent beyond the certified radius, every point of the path an attempt.

    Args:
        certifier: to break.
        x: (*input shape).
        example: whose streams are used.
        reach: how far to go, over the certified radius.
        grid: x' has values k / grid in [0, 1], where the noise certifies no others; None: any.
    """
    at_x, g = certifier(x, example, ABSTAIN), certifier
    if not at_x.radius > 0:
        return []
    step = 1 / grid if grid else reach * at_x.radius / L1_STEPS
    path = l1_path(
        _loss(g, at_x.prediction),
        g.noise,
        x,
        step,
        int(reach * at_x.radius / step) + 1,
        example,
        within_image=grid is not None,
    )
    return [
        class_attempt(
            at_x.radius,
            l1_distance(x, there),
            _surely_another(g, there, example, at_x.prediction),
            certifier.alpha,
            LEVEL,
        )
        for there in path
    ]


def attack_exactly(certifier: ExactCertify, x: Tensor, example: int) -> list[Attempt]:
    """Greedy grid steps to the first change of class or EXACT_REACH times the radius, every point an attempt.

    The class at each point is known, so a single violation is a bug. `example` plays no part.
    """
    g, noise = certifier, certifier.noise
    assert isinstance(noise, FiniteNoise)
    at_x = g.certify_exactly(x)
    attempts: list[Attempt] = []
    if not at_x.radius > 0:
        return attempts
    a = at_x.prediction

    def votes_lost(batch: Tensor) -> Tensor:
        """A vote that A has lost, and twice that where the runner-up has it; a share of A's probability breaks ties."""
        scores = g.f.f(batch)
        winner = scores.argmax(dim=1)
        share = functional.softmax(scores, dim=1)[:, a]
        return (winner != a).float() + (winner == at_x.runner_up).float() - 0.1 * share

    for steps, there in enumerate(exact_path(votes_lost, noise, x, EXACT_REACH * at_x.radius_steps), 1):
        changed = g.certify_exactly(there).prediction != a
        attempts.append(class_attempt(at_x.radius, steps / noise.levels, changed, 0.0, 0.0))
        if changed:
            break
    return attempts


def _surely_another(g: SmoothedClassifier, there: Tensor, example: int, prediction: int) -> bool:
    return g.predict(there, PREDICT_SAMPLES, LEVEL, example=example).prediction not in (prediction, ABSTAIN)


def _loss(g: SmoothedClassifier, prediction: int) -> Objective:
    target = torch.tensor([prediction])
    return lambda batch: functional.cross_entropy(g.f.f(batch), target.expand(len(batch)), reduction="none")
