"""Attacks on certified intervals of numbers, and on certified classes of positions, within the input radius."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.benchmarks.attacks_on_centers import FRESH, GRID_STEPS, farthest_within
from experiments.benchmarks.attacks_on_classifiers import LEVEL
from experiments.benchmarks.attempts import (
    Attempt,
    Objective,
    class_attempt,
    exact_path,
    l2_distance,
    output_attempt,
)
from smoothing import (
    ABSTAIN,
    DeterministicSplitting,
    ExactMeanSmoothing,
    ExactMedianSmoothing,
    MeanSmoothing,
    MedianSmoothing,
    SegmentSmoothing,
)
from smoothing.statistics import clopper_pearson_lower

FACTORS = (0.5, 1.0)  # multiples of the input radius
CLASS_FACTORS = (0.5, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0)


def attack_interval(
    h: MedianSmoothing | MeanSmoothing, fresh: MedianSmoothing | MeanSmoothing, x: Tensor, example: int, eps: float
) -> list[Attempt]:
    """Try to move the smoothed number beyond its certified interval, up and down. [] if x has no certificate.

    A point counts by the end of an interval around the number there, from fresh samples, that is the nearer to x.

    Args:
        h: certifier of a function of one output number, under a noise with l2 certificates.
        fresh: the same with alpha = LEVEL, for the number at x'.
        x: (*input shape).
        example: example number that selects the streams at x, below FRESH.
        eps: l2 input radius.
    """
    certificate = h.certify(x, eps, example)
    if certificate.status != "certified":
        return []
    lower, upper, estimate = (
        float(each.item()) for each in (certificate.lower, certificate.upper, certificate.estimate)
    )
    attempts = []
    for number, (factor, sign) in enumerate((factor, sign) for factor in FACTORS for sign in (1, -1)):
        there = farthest_within(_signed(h.f.f, sign), h.noise, x, factor * eps, example)
        found = fresh.certify(there, 0.0, FRESH * (example + 1) + number)
        moved = float(found.lower.item()) - estimate if sign > 0 else estimate - float(found.upper.item())
        bound = upper - estimate if sign > 0 else estimate - lower
        attempts.append(output_attempt(eps, l2_distance(x, there), max(0.0, moved), bound, h.alpha, LEVEL))
    return attempts


def attack_exact_interval(h: ExactMedianSmoothing | ExactMeanSmoothing, x: Tensor, example: int) -> list[Attempt]:
    """Greedy grid steps, up and then down. Point k of a path is compared with the certificate for k steps.

    The number is known exactly at x and at x', so a violation is a bug. `example` is ignored.
    """
    noise = h.noise
    assert isinstance(noise, DeterministicSplitting)  # whose grid steps `exact_path` takes
    draws, attempts = h.draw(x), []
    here = float(h.read(draws, 0.0).lower.item())
    for sign in (1, -1):
        for k, there in enumerate(exact_path(_signed(h.f.f, sign), noise, x, GRID_STEPS), 1):
            certificate = h.read(draws, k / noise.levels)
            if certificate.status != "certified":
                break
            moved = sign * (float(h.certify(there, 0.0).lower.item()) - here)
            bound = sign * (float((certificate.upper if sign > 0 else certificate.lower).item()) - here)
            attempts.append(output_attempt(certificate.eps_in, k / noise.levels, max(0.0, moved), bound))
    return attempts


def attack_segments(g: SegmentSmoothing, x: Tensor, example: int, eps: float) -> list[Attempt]:
    """Try to change the class of the certified position with the fewest votes. [] if x has no certificate.

    A class changed if fresh samples at x' surely give another class more than half of the votes.

    Args:
        g: certifier of a function to scores, under a noise with l2 certificates.
        x: (*input shape).
        example: example number that selects the streams at x, below FRESH.
        eps: l2 input radius of the certificate.
    """
    draws = g.engine.run(g.drawing(g.input(x), example))
    classes = g.read(draws, eps).classes.ravel()
    if (classes == ABSTAIN).all():
        return []
    place = int(np.where(classes == ABSTAIN, draws.n + 1, draws.counts.ravel()).argmin())
    target = torch.tensor([int(classes[place])])

    def loss(batch: Tensor) -> Tensor:
        scores = g.f.f(batch).flatten(2)[:, :, place]
        return functional.cross_entropy(scores, target.expand(len(batch)), reduction="none")

    attempts = []
    for number, factor in enumerate(CLASS_FACTORS):
        there = farthest_within(loss, g.noise, x, factor * eps, example)
        votes = g.engine.run(g.drawing(g.input(there), FRESH * (example + 1) + number))
        another = int(votes.classes.ravel()[place]) not in (int(target), ABSTAIN)
        surely = clopper_pearson_lower(int(votes.counts.ravel()[place]), votes.n, LEVEL) > 0.5
        attempts.append(class_attempt(eps, l2_distance(x, there), another and surely, g.alpha, LEVEL))
    return attempts


def _signed(f: Objective, sign: int) -> Objective:
    return lambda batch: sign * f(batch).flatten()
