"""Attacks on certified output radii: how far can the smoothed output be moved within the input radius?"""

from torch import Tensor

from experiments.benchmarks.attempts import (
    Attempt,
    Objective,
    exact_path,
    l2_distance,
    noisy_gradient,
    output_attempt,
)
from smoothing import CenterSmoothing, DeterministicSplitting, ExactCenterSmoothing, Metric, Noise
from smoothing.balanced import BalancedCenterSmoothing
from smoothing.streams import Stage, Stream

FACTORS = (0.5, 1.0)  # multiples of the input radius
STEPS = 10
GRID_STEPS = 40
FRESH = 1000  # x' of example i uses the streams of examples FRESH (i + 1) and up, so i is below FRESH


def moved_by(f: Objective, metric: Metric, center: Tensor) -> Objective:
    """The distance of f's outputs from the center at x."""
    return lambda batch: metric(f(batch), center[None])


def farthest_within(objective: Objective, noise: Noise, x: Tensor, eps: float, example: int) -> Tensor:
    """A point within l2 distance eps of x, by projected gradient ascent on the objective's mean over noisy copies."""
    there = x.clone()
    for step in range(STEPS):
        gradient = noisy_gradient(objective, noise, there, Stream(step, example, Stage.ATTACK))
        if not float(gradient.norm()) > 0:
            break
        there = there + eps / 4 * gradient / gradient.norm()
        there = x + (there - x) * min(1.0, eps * (1 - 1e-6) / float((there - x).norm()))
    return there


def attack_center(
    h: CenterSmoothing | BalancedCenterSmoothing, x: Tensor, example: int, eps: float, direction: Tensor | None = None
) -> list[Attempt]:
    """Try to move f_hat within each of FACTORS times eps, with fresh samples at x'. [] if x has no certificate.

    Args:
        h: center smoothing under a noise with l2 certificates.
        x: (*input shape).
        example: example number that selects the streams at x, below FRESH.
        eps: l2 input radius.
        direction: unit vector (*input shape). If given, try it and its opposite instead of following the gradient.
    """
    certificate = h.certify(x, eps, example)
    if certificate.status != "certified":
        return []
    objective = moved_by(h.f.f, h.metric, certificate.center)
    points = []
    for factor in FACTORS:
        if direction is None:
            points.append(farthest_within(objective, h.noise, x, factor * eps, example))
        else:
            points += [x + sign * factor * eps * (1 - 1e-6) * direction for sign in (1, -1)]
    attempts = []
    for number, there in enumerate(points):
        smoothed = h.smooth(there, FRESH * (example + 1) + number)
        if not smoothed.abstained:  # an abstention makes no claim
            moved = float(h.metric(smoothed.center[None], certificate.center[None]))
            at_x = h.settings.alpha2
            at_attack = certificate.failure_probability - at_x
            attempts.append(output_attempt(eps, l2_distance(x, there), moved, certificate.eps_out, at_x, at_attack))
    return attempts


def attack_exact_center(h: ExactCenterSmoothing, x: Tensor, example: int) -> list[Attempt]:
    """Greedy grid steps. Point k of the path is compared with the certificate for k steps. A violation is a bug.

    The path continues while there are certificates, for at most GRID_STEPS. x is (*input shape), on the grid. `example`
    is ignored.
    """
    assert isinstance(h.noise, DeterministicSplitting)
    draws = h.draw(x)
    attempts = []
    for k, there in enumerate(exact_path(moved_by(h.f.f, h.metric, draws.center), h.noise, x, GRID_STEPS), 1):
        certificate = h.read(draws, k / h.noise.levels)
        if certificate.status != "certified":
            break
        at_attack = h.draw(there)
        if h.read(at_attack, 0.0).status == "abstained":
            continue  # an abstention makes no claim
        moved = float(h.metric(at_attack.center[None], draws.center[None]))
        attempts.append(output_attempt(certificate.eps_in, k / h.noise.levels, moved, certificate.eps_out))
    return attempts
