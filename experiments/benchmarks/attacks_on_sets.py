"""Attacks on robust conformal sets: can the right class be driven out of the set, within the input radius?

A set's own statement is about calibration and example together. Its proof is about one input and any threshold tau:
either T < tau at x, or x's class is in the set at x'. That is attacked here.
"""

from torch import Tensor

from experiments.benchmarks.attacks_on_centers import FRESH, farthest_within
from experiments.benchmarks.attacks_on_classifiers import class_loss
from experiments.benchmarks.attempts import Attempt, class_attempt, exact_path, l2_distance
from smoothing import ConformalSets, DeterministicSplitting, ExactConformalSets

FACTORS = (0.5, 1.0, 1.25, 1.5, 2.0, 3.0)  # multiples of the input radius
REACH = 3  # length of a grid path as a multiple of the input radius
Sets = ConformalSets | ExactConformalSets


def attack_set(h: ConformalSets, labels: Tensor, x: Tensor, example: int, eps: float) -> list[Attempt]:
    """Lower the score of x's class within each of FACTORS times eps. Every attempt has fresh samples at x and at x'.

    Args:
        h: calibrated, with a tau that does not depend on x, under a noise with l2 certificates.
        labels: the classes of all inputs, (inputs,).
        x: (*input shape).
        example: number of x among the inputs, below FRESH.
        eps: l2 input radius.
    """
    label, attempts = int(labels[example]), []
    for number, factor in enumerate(FACTORS):
        at_x = FRESH * (example + 1) + number
        at_other = at_x + 2 * FRESH**2  # beyond the numbers of all attempts at x
        there = farthest_within(class_loss(h.f.f, label), h.noise, x, factor * eps, example)
        out = _reaches_tau(h, x, at_x, label) and not _in_set(h, there, at_other, label, eps)
        attempts.append(class_attempt(eps, l2_distance(x, there), out, 0.0, h.beta))
    return attempts


def attack_exact_set(h: ExactConformalSets, labels: Tensor, x: Tensor, example: int, steps: int) -> list[Attempt]:
    """Greedy grid steps to REACH times the input radius, or until the class leaves the set. A violation is a bug.

    tau is T of x, the largest with which the statement is about x.

    Args:
        h: under splitting noise. Its tau is replaced.
        labels: the classes of all inputs, (inputs,).
        x: (*input shape), on the grid.
        example: number of x among the inputs.
        steps: input radius in grid steps.
    """
    noise, label, attempts = h.noise, int(labels[example]), list[Attempt]()
    assert isinstance(noise, DeterministicSplitting)  # whose grid steps `exact_path` takes
    h.tau = h.engine.run(h.calibrating(h.input(x), example, label)).score
    eps = steps / noise.levels

    def lost(batch: Tensor) -> Tensor:
        """1 for a noisy input whose score is below tau. Less of the score breaks ties."""
        scores = h.scores(h.f.f(batch))[:, label]
        return (scores < h.tau).float() - 0.1 * scores.float()

    for k, there in enumerate(exact_path(lost, noise, x, REACH * steps), 1):
        out = not _in_set(h, there, example, label, eps)
        attempts.append(class_attempt(eps, k / noise.levels, out, 0.0, 0.0))
        if out:
            break
    return attempts


def _reaches_tau(h: Sets, x: Tensor, example: int, label: int) -> bool:
    return bool(h.engine.run(h.calibrating(h.input(x), example, label)).score >= h.tau)


def _in_set(h: Sets, x: Tensor, example: int, label: int, eps: float) -> bool:
    drawn = h.engine.run(h.procedure(h.input(x), example, label))
    (found,) = h.statements(drawn, [eps])
    return str(label) in found.classes.split()
