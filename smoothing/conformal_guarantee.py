"""The guarantee of robust conformal sets (BinCP, Zargarbashi and Bojchevski 2025). Pure functions.

s_y(z) is a score of class y at a noisy input z. Let T_i be the j-th largest of n scores s_Y(X + noise) of calibration
example i, j = ceil(p n), and tau the r-th smallest T_i of N examples. At an input X' the set holds every class y whose
score is at least tau in t or more of n fresh samples.

Theorem. Let the calibration examples and (X, Y) be exchangeable, r <= (alpha - beta) (N + 1), and let

    P[Bin(n, q) >= j] P[Bin(n, shift(q, eps)) < t] <= beta    for every q.

For every X' within eps of X that does not depend on the samples at X', Y is in the set with probability at least
1 - alpha, over the examples and all samples.

Proof. Imagine n samples at X too, and T from them. T_1, ..., T_N, T are exchangeable, so P[T < tau] <= r / (N + 1). Fix
all examples, tau and X', and let q = P[s_Y(X + noise) >= tau]. T >= tau exactly if j of the n samples at X reach tau.
At X' a sample reaches tau with probability at least shift(q, eps). The samples at X and X' are independent, so
T >= tau, and yet fewer than t of those at X' reach tau, with probability at most beta.

The samples at X are never drawn: they only serve to compare. So one number t corrects for sampling, however many
calibration examples and classes there are. The paper bounds the probability of each.

Under a finite noise, T is the j-th largest of all L scores, beta = 0, and t = j - affected(eps), because at most so
many of the L noisy inputs differ. Then Y is in the sets of all X' at once.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np
import scipy
from numpy.typing import NDArray

from smoothing.as_dict import AsDict
from smoothing.bisection import least_number
from smoothing.errors import SettingError
from smoothing.noise import FiniteNoise, Noise
from smoothing.origin import Draws
from smoothing.rounding import BETA_MARGIN, down
from smoothing.statistics import clopper_pearson_lower

CELLS = 64  # of the probabilities q; more make t hardly larger


@dataclass(frozen=True, eq=False)
class ConformalDraws(Draws):
    """What was drawn at one input. Every set at this input is computed from it.

    Attributes:
        counts: how many of the n samples reach tau, for each class, (classes,), int64.
        tau: the calibrated threshold of the scores.
        n: number of samples.
    """

    counts: NDArray[np.int64]
    tau: float
    n: int


@dataclass(frozen=True)
class ConformalSet(AsDict):
    """The statement: the class of X is in `classes`, if the input is within eps_in of X and as random as X is.

    It is false with probability at most `failure_probability`, over calibration, example and samples together.

    Attributes:
        eps_in: input radius, in the noise's threat norm and the units of x.
        classes: the numbers of the classes in the set, separated by spaces.
        size: how many they are.
        needed: t, the samples that must reach tau.
        counts: how many did, for each class, separated by spaces.
        tau: the calibrated threshold of the scores.
        n: number of samples.
        status: always "certified".
        failure_probability: alpha.
    """

    eps_in: float
    classes: str
    size: int
    needed: int
    counts: str
    tau: float
    n: int
    status: str
    failure_probability: float


def rank(examples: int, level: float | Fraction) -> int:
    """The rank r = floor(level (N + 1)) of the threshold among N calibration examples, level = alpha - beta.

    The T of a new example is below the r-th smallest with probability at most r / (N + 1), for discrete laws too.

    Raises:
        SettingError: r would be 0, so every class would be in the set.

    Examples:
        >>> rank(99, 0.1), rank(98, 0.1)
        (10, 9)
        >>> rank(5, 0.1)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.held_out: 5 calibration examples ... 0.1; at least 9 are needed
    """
    found = floor(Fraction(level) * (examples + 1))
    if found < 1:
        least = ceil(1 / Fraction(level)) - 1
        raise SettingError(
            f"certifier.held_out: {examples} calibration examples can never leave a class out at level "
            f"{float(level):g}; at least {least} are needed"
        )
    return found


def threshold(found: NDArray[np.float64], level: float | Fraction) -> float:
    """tau: the r-th smallest of the calibration examples' T, (N,). Raises SettingError, see `rank`."""
    return float(np.sort(found)[rank(len(found), level) - 1])


def order(p: float, n: int) -> int:
    """The number j = ceil(p n) of samples at X that reach T.

    Examples:
        >>> order(0.7, 1000), order(0.7, 27)
        (700, 19)
    """
    return max(1, ceil(down(p * n)))


def needed(j: int, n: int, eps: float, noise: Noise, beta: float) -> int:
    """The largest t of the theorem; 0 if there is none above, so that every class would be in the set.

    For q below P_0, at which P[Bin(n, q) >= j] is beta, nothing is to show. The others lie in cells from P_i to
    P_(i+1), at which this probability is a_i and a_(i+1), up to 1. In each, `shift` is at least that of P_i.

    Args:
        j: see `order`.
        n: number of samples.
        eps: input radius, >= 0.
        noise: the smoothing distribution.
        beta: probability of the sampling error, in (0, 1).

    Examples:
        >>> from smoothing import Gaussian
        >>> [needed(700, 1000, eps, Gaussian(sigma=0.5), beta=0.01) for eps in (0, 0.25, 0.5)]
        [661, 467, 279]
    """
    most = down(beta, BETA_MARGIN)
    levels = most ** (1 - np.arange(CELLS + 1) / CELLS)  # a_0, just below beta, ..., 1
    least = np.array([noise.shift(clopper_pearson_lower(j, n, float(a)), eps) for a in levels[:-1]])

    def missed(t: int) -> float:
        return float((levels[1:] * scipy.stats.binom.cdf(t - 1, n, least)).max())

    return least_number(lambda t: not missed(t) <= most, 0, n + 1) - 1


def exact_needed(j: int, eps: float, noise: FiniteNoise) -> int:
    """The number t of the theorem under a finite noise, without sampling: j - affected(eps), at least 0.

    Examples:
        >>> from smoothing import DeterministicSplitting
        >>> exact_needed(12, eps=0.3, noise=DeterministicSplitting(sigma=0.5, levels=10, shape=(3,)))
        9
    """
    return max(0, j - noise.affected(eps))


def conformal_set(draws: ConformalDraws, eps: float, t: int, alpha: float) -> ConformalSet:
    """The set for input radius eps.

    Args:
        draws: the counts at the input.
        eps: input radius.
        t: see `needed` and `exact_needed`.
        alpha: probability that the class is not in the set.
    """
    classes = np.flatnonzero(draws.counts >= t)
    return ConformalSet(
        eps_in=eps,
        classes=" ".join(map(str, classes)),
        size=len(classes),
        needed=t,
        counts=" ".join(map(str, draws.counts)),
        tau=draws.tau,
        n=draws.n,
        status="certified",
        failure_probability=alpha,
    )
