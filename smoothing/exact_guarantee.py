"""The guarantee for a classifier smoothed with a finite noise: from exact class counts to an exact radius.

Levine and Feizi, "Improved, Deterministic Smoothing for l1 Certified Robustness" (2021), and "(De)Randomized Smoothing
for Certifiable Defense against Patch Attacks" (2020b). All noisy inputs are classified, so nothing is estimated and the
certificate cannot be false. g abstains only if no noisy input has a class. Pure functions.

**Inputs without a class.** A noisy input has no class if its scores have no largest one. A perturbation within eps
changes at most k = `FiniteNoise.affected(eps)` noisy inputs. Each takes at most one vote from class A and gives at most
one to B, whether or not it has a class before or after. So n_A - n_B falls by at most 2k, just as if all inputs had a
class. If eps is within the radius, n_A >= 2k at x, so A keeps at least k votes. Hence g does not abstain at x' either,
for k >= 1.
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
    """The statement: g(x') = `prediction` for every x' within `radius` of x. It cannot be false.

    Under splitting noise, x' is on the noise's grid.

    Attributes:
        prediction: class A, the class with the largest count, and the lowest such class if several tie; -1 if no noisy
            input has a class.
        radius: radius_steps / levels, in the noise's threat norm: l1 in the units of x, or the side of a patch.
        n_a: number of the n noisy inputs in class A.
        n_b: the largest count of another class.
        n: number of noisy inputs: all that the noise has.
        p_lower: n_a / n, the exact probability of class A.
        status: "certified" (even with radius 0), or "failed" if no noisy input has a class.
        reason: why it failed; empty otherwise.
        failure_probability: always 0.
        runner_up: the class that limits the radius; -1 if failed.
        radius_steps: the radius as a whole number of grid steps.
        levels: grid steps per unit.
        not_finite: share of the noisy inputs without a class: a score is NaN or +inf, or all are -inf.
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
    """The certificate that the class counts over all noisy inputs give (Levine and Feizi 2021, corollary 1).

    The radius is the largest eps with n_A - n_B - [B < A] >= 2 affected(eps) for every B != A. Under splitting noise it
    is min over B of floor((n_A - n_B - [B < A]) / 2) / levels.

    If the class of k noisy inputs changes, n_A - n_B changes by at most 2k. The prediction stays A while n_A > n_B, or
    while n_A = n_B and A is the lower class.

    Args:
        votes: number of noisy inputs in each class, for at least two classes. The sum is noise.steps, or less if some
            inputs have no class.
        noise: the smoothing distribution.

    Examples:
        >>> from smoothing import DeterministicSplitting
        >>> noise = DeterministicSplitting(sigma=0.5, levels=16, shape=(3,))  # 27 noisy inputs
        >>> c = exact_certificate([20, 5, 2], noise)
        >>> c.prediction, c.radius_steps, c.radius  # floor((20 - 5) / 2) = 7 steps of 1/16
        (0, 7, 0.4375)
        >>> from smoothing import BandAblation
        >>> exact_certificate([20, 5, 2], BandAblation(size=3, shape=(1, 27, 27))).radius  # 7 bands: 5 + 3 - 1
        5.0
    """
    if not any(votes):
        return ExactCertificate(
            prediction=ABSTAIN,
            radius=0.0,
            n_a=0,
            n_b=0,
            n=noise.steps,
            p_lower=0.0,
            status="failed",
            reason="no noisy input is of any class: all have scores that are NaN or infinite",
            failure_probability=0.0,
            runner_up=ABSTAIN,
            radius_steps=0,
            levels=noise.levels,
            not_finite=1.0,
        )
    a = max(range(len(votes)), key=lambda c: votes[c])  # the first of several
    allowed = {b: (votes[a] - votes[b] - (b < a)) // 2 for b in range(len(votes)) if b != a}
    runner_up = min(allowed, key=lambda b: allowed[b])
    radius = noise.reach(allowed[runner_up])
    return ExactCertificate(
        prediction=a,
        radius=radius,
        n_a=votes[a],
        n_b=max(votes[b] for b in allowed),
        n=noise.steps,
        p_lower=votes[a] / noise.steps,
        status="certified",
        reason="",
        failure_probability=0.0,
        runner_up=runner_up,
        radius_steps=round(radius * noise.levels),
        levels=noise.levels,
        not_finite=1 - sum(votes) / noise.steps,
    )


def require_all(count: int, noise: FiniteNoise) -> None:
    """Raise SettingError unless there is an output for each noisy input: sampled draws give no exact certificate."""
    if count != noise.steps:
        raise SettingError(
            f"draws: expected the outputs at all {noise.steps} noisy inputs of {noise}, got {count}; draw them with an "
            "exact certifier"
        )


def require_finite(noise: Noise) -> FiniteNoise:
    """The noise itself, if all its noisy inputs can be enumerated. Raises SettingError otherwise.

    Examples:
        >>> from smoothing import Gaussian
        >>> require_finite(Gaussian(sigma=0.5))
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: noise: Gaussian(sigma=0.5) has too many noisy inputs to evaluate all; ...
    """
    if not isinstance(noise, FiniteNoise):
        raise SettingError(
            f"noise: {noise} has too many noisy inputs to evaluate all; use noise=dssn, band or block, or a certifier "
            "that samples, such as certify or center"
        )
    return noise
