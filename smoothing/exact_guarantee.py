"""The guarantee of a classifier smoothed with a finite noise: exact counts in, prediction and exact radius out. Pure.

Levine and Feizi, "Improved, Deterministic Smoothing for l1 Certified Robustness" (2021). Nothing is estimated, so
nothing can be false and nothing abstains, but where no noisy input is of any class.

Inputs of no class. Those whose scores have no largest one count for no class; where all do, g abstains. One grid step
changes one noisy input, so it takes at most one vote from class A and gives at most one to B, whether or not the input
is of a class before or after. So after k steps n_A - n_B has fallen by at most 2k, as it has where all inputs are of a
class. And n_A >= 2k at x, so A keeps k votes: where k >= 1, g does not abstain at x' either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smoothing.as_dict import AsDict
from smoothing.classifier_guarantee import ABSTAIN
from smoothing.errors import SettingError
from smoothing.noise import FiniteNoise, Noise


@dataclass(frozen=True)
class ExactCertificate(AsDict):
    """g(x') = `prediction` for every x' on the noise's grid within `radius` of x. It cannot be false.

    Attributes:
        prediction: class A, that of the largest count; of several, the lowest. -1 where no input is of any class.
        radius: radius_steps / levels, in the noise's threat norm.
        n_a: how many of the n noisy inputs are of class A.
        n_b: the largest count of another class.
        n: noisy inputs, all that there are.
        p_lower: n_a / n, the probability of class A itself.
        status: certified, be it with radius 0; failed where no noisy input is of any class.
        reason: why failed; empty otherwise.
        failure_probability: always 0.
        runner_up: the class that bounds the radius; -1 where failed.
        radius_steps: the radius as an integer number of grid steps.
        levels: grid steps in a unit.
        not_finite: share of the noisy inputs that are of no class: a score is NaN or +inf, or all are -inf.
    """

    prediction: int
    radius: float
    n_a: int
    n_b: int
    n: int
    p_lower: float
    status: Literal["certified", "failed"]
    reason: str
    failure_probability: float
    runner_up: int
    radius_steps: int
    levels: int
    not_finite: float


def exact_certificate(votes: Sequence[int], noise: FiniteNoise) -> ExactCertificate:
    """Read the certificate off the counts of all of the noise's inputs.

    One grid step changes the class of one noisy input at most, so it moves n_A - n_B by 2 at most. A stays the answer
    while n_A > n_B, or n_A = n_B and A is the lower class: for floor((n_A - n_B - [B < A]) / 2) steps, the least over
    all B.

    Args:
        votes: of the noise's inputs, how many are of each class, at least two classes; they sum to noise.steps unless
            some inputs are of no class.
        noise: the smoothing distribution.
    """
    if not any(votes):
        reason = "no noisy input is of any class: all have scores that are NaN or infinite"
        return ExactCertificate(
            ABSTAIN, 0.0, 0, 0, noise.steps, 0.0, "failed", reason, 0.0, ABSTAIN, 0, noise.levels, 1.0
        )
    a = max(range(len(votes)), key=lambda c: votes[c])  # the first of several
    allowed = {b: (votes[a] - votes[b] - (b < a)) // 2 for b in range(len(votes)) if b != a}
    runner_up = min(allowed, key=lambda b: allowed[b])
    return ExactCertificate(
        prediction=a,
        radius=allowed[runner_up] / noise.levels,
        n_a=votes[a],
        n_b=max(votes[b] for b in allowed),
        n=noise.steps,
        p_lower=votes[a] / noise.steps,
        status="certified",
        reason="",
        failure_probability=0.0,
        runner_up=runner_up,
        radius_steps=allowed[runner_up],
        levels=noise.levels,
        not_finite=1 - sum(votes) / noise.steps,
    )


def require_finite(noise: Noise) -> FiniteNoise:
    """The noise, if all its inputs can be enumerated. Raises SettingError."""
    if not isinstance(noise, FiniteNoise):
        raise SettingError(f"noise: {noise} has no finite number of noisy inputs; take noise=dssn or certifier=certify")
    return noise
