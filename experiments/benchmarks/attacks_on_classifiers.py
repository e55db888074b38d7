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
    DeterministicSplitting,
    ExactCertificate,
    ExactCertify,
    projected_gradient_ascent,
)

FACTORS = (0.5, 0.9, 1.0, 1.1, 1.15, 1.25, 1.5, 2.0, 3.0)  # multiples of the certified l2 radius
EXACT_REACH = 3  # length of a grid path as a multiple of the certified radius
PGD_STEPS = 10
PGD_SAMPLES = 128
L1_STEPS = 20  # steps of a path if they may have any length
LEVEL = 1e-6  # alpha of Predict at x', small enough to treat a change of class as certain
PREDICT_SAMPLES = 4000


def attack_l2(certifier: Certify | Adaptive, x: Tensor, example: int) -> list[Attempt]:
    """Projected gradient ascent within each of FACTORS times the certified l2 radius. [] if x has no certificate.

    Args:
        certifier: the certifier to attack. Its class at x is the reference, whether or not it is correct.
        x: (*input shape).
        example: example number that selects the streams.
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
    """Steepest l1 ascent beyond the certified radius. Every point of the path is an attempt.

    Args:
        certifier: the certifier to attack.
        x: (*input shape).
        example: example number that selects the streams.
        reach: length of the path as a multiple of the certified radius.
        grid: x' has values k / grid in [0, 1], for noises that certify only such inputs. None: any values.
    """
    at_x, g = certifier(x, example, ABSTAIN), certifier
    if not at_x.radius > 0:
        return []
    step = 1 / grid if grid else reach * at_x.radius / L1_STEPS
    path = l1_path(
        class_loss(g.f.f, at_x.prediction),
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
    """Greedy grid steps until the class changes or the path reaches EXACT_REACH times the radius.

    Every point is an attempt. The class at each point is known exactly, so a single violation is a bug. `example` is
    ignored.
    """
    g, noise = certifier, certifier.noise
    assert isinstance(noise, DeterministicSplitting)
    at_x = g(x, example)
    attempts: list[Attempt] = []
    if not at_x.radius > 0:
        return attempts
    for steps, there in enumerate(exact_path(votes_lost(g, at_x), noise, x, EXACT_REACH * at_x.radius_steps), 1):
        changed = g(there, example).prediction != at_x.prediction
        attempts.append(class_attempt(at_x.radius, steps / noise.levels, changed, 0.0, 0.0))
        if changed:
            break
    return attempts


def _surely_another(g: Certify, there: Tensor, example: int, prediction: int) -> bool:
    answer = g.engine.run(g.predicting(there, PREDICT_SAMPLES, LEVEL, example=example))
    return answer.prediction not in (prediction, ABSTAIN)


def votes_lost(g: ExactCertify, at_x: ExactCertificate) -> Objective:
    """1 for a vote that A lost, 2 if the runner-up won it. A's softmax probability breaks ties."""
    a = at_x.prediction

    def lost(batch: Tensor) -> Tensor:
        scores = g.f.f(batch)
        winner, share = scores.argmax(dim=1), functional.softmax(scores, dim=1)[:, a]
        return (winner != a).float() + (winner == at_x.runner_up).float() - 0.1 * share

    return lost


def class_loss(f: Objective, label: int) -> Objective:
    """The cross entropy of a classifier's scores with one label."""
    target = torch.tensor([label])
    return lambda batch: functional.cross_entropy(f(batch), target.expand(len(batch)), reduction="none")
