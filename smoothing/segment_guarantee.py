"""The guarantee of SegCertify (Fischer et al. 2021): a class for each position of a segmentation. Pure functions.

f answers with a class at each of N positions, such as pixels. The smoothed function g answers at each position with its
most probable class under noise. For an input radius eps let tau = mass(1/2, eps), the mass that is more than 1/2
anywhere within eps; under Gaussian noise Phi(eps / sigma). The paper fixes tau instead, so its radius is
sigma Phi^-1(tau).

Theorem. Let c_i be fixed, and let S be a set of positions at which P[f(x + noise)_i = c_i] >= tau. Then g(x')_i = c_i
for all i in S and every x' within eps of x, all at once.

Proof. By the definition of mass, P[f(x' + noise)_i = c_i] > 1/2 for each i in S, so no other class is as probable.

n0 samples choose c_i. The hypothesis that the probability of c_i is below tau is tested with n fresh samples, exactly.
Holm's procedure (1979) rejects at level alpha: whatever hypotheses are true, and however the positions depend on each
other, it rejects a true one with probability at most alpha. So all claims hold together. The other positions abstain.
"""

from dataclasses import dataclass
from math import nextafter

import numpy as np
import scipy
from numpy.typing import NDArray

from smoothing.as_dict import AsDict
from smoothing.classifier_guarantee import ABSTAIN
from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.origin import Draws
from smoothing.rounding import BETA_MARGIN, down
from smoothing.statistics import exact_least_samples

MORE_THAN_HALF = nextafter(0.5, 1)


@dataclass(frozen=True, eq=False)
class SegmentDraws(Draws):
    """The votes at each position of one input. Every certificate at this input is computed from them.

    Attributes:
        classes: the most frequent class of n0 samples, (*positions), int64; -1 where none of them had a class.
        counts: how many of n fresh samples have that class, (*positions), int64.
        n0: number of samples that chose the classes.
        n: number of fresh samples.
    """

    classes: NDArray[np.int64]
    counts: NDArray[np.int64]
    n0: int
    n: int


@dataclass(frozen=True, eq=False)
class SegmentCertificate(AsDict):
    """The statement: g(x')_i = classes_i for every x' within eps_in of x, at all positions but those of -1, at once.

    It is false with probability at most `failure_probability`, over the samples at x.

    Attributes:
        eps_in: input radius, in the noise's threat norm and the units of x.
        tau: the probability that a class must have at x.
        classes: the class of each position, (*positions), int64; -1 where the certificate abstains.
        certified: share of the positions that have a class.
        n0: number of samples that chose the classes.
        n: number of samples of the tests.
        status: "certified", or "abstained" at every position.
        reason: why abstained; empty otherwise.
        failure_probability: alpha; 0 if nothing is claimed.
    """

    eps_in: float
    tau: float
    classes: NDArray[np.int64]
    certified: float
    n0: int
    n: int
    status: str
    reason: str
    failure_probability: float


def threshold(eps: float, noise: Noise) -> float:
    """The probability tau that a class must have at x, to have more than 1/2 at every x' within eps. Rounded up.

    Examples:
        >>> from smoothing import Gaussian
        >>> round(threshold(0.25, Gaussian(sigma=0.25)), 4)  # Phi(1)
        0.8413
    """
    return noise.mass(MORE_THAN_HALF, eps)


def segment_certificate(draws: SegmentDraws, eps: float, noise: Noise, alpha: float) -> SegmentCertificate:
    """The certificate for input radius eps that the votes give.

    Args:
        draws: the votes at x.
        eps: input radius, >= 0.
        noise: the noise of the votes.
        alpha: probability that any claim is false, in (0, 1).
    """
    tau = threshold(eps, noise)
    voted = draws.classes != ABSTAIN
    p_values = np.where(voted, scipy.stats.binom.sf(draws.counts - 1, draws.n, tau), 1.0)
    rejected = holm(p_values, down(alpha, BETA_MARGIN)) & voted & (tau < 1)
    any_claim = bool(rejected.any())
    return SegmentCertificate(
        eps_in=eps,
        tau=tau,
        classes=np.where(rejected, draws.classes, ABSTAIN),
        certified=float(rejected.mean()) if rejected.size else 0.0,
        n0=draws.n0,
        n=draws.n,
        status="certified" if any_claim else "abstained",
        reason="" if any_claim else f"at no position do the tests show a class with probability at least {tau:.4g}",
        failure_probability=alpha if any_claim else 0.0,
    )


def holm(p_values: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
    """The hypotheses that Holm's step-down procedure rejects: p-values (*positions) -> (*positions).

    The smallest of N p-values is compared with alpha / N, the next one with alpha / (N - 1), until one is larger.

    Examples:
        >>> holm(np.array([0.04, 0.001, 0.02]), alpha=0.05)
        array([ True,  True,  True])
        >>> holm(np.array([0.04, 0.001, 0.03]), alpha=0.05)
        array([False,  True, False])
    """
    flat = p_values.ravel()
    order = np.argsort(flat, kind="stable")
    enough = flat[order] <= alpha / np.arange(len(flat), 0, -1)
    rejected = np.zeros(len(flat), dtype=bool)
    rejected[order[: int(enough.argmin()) if not enough.all() else len(flat)]] = True
    return rejected.reshape(p_values.shape)


def require_feasible(n: int, alpha: float, eps: list[float], noise: Noise) -> None:
    """Raise SettingError if n samples can never certify even a single position at some eps; says how many can."""
    for radius in sorted(eps, reverse=True):
        tau = threshold(radius, noise)
        least = exact_least_samples(tau, alpha)
        if least is None or n < least:
            many = "no number would do" if least is None else f"at least {least} are needed for one position"
            raise SettingError(f"certifier.n: {n} samples can never certify eps={radius:g} under {noise}; {many}")
