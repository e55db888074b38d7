"""The guarantee of median smoothing (Chiang et al. 2020): intervals for real-valued outputs. Pure functions.

Let Y_j be coordinate j of f(x + noise), and q_p(x)_j = inf {y : P[Y_j <= y] >= p} its p-quantile. The smoothed function
is h(x) = q_p(x), coordinate by coordinate; p = 1/2 is the median.

Theorem (lemma 1 of the paper, for any noise). For every x' within eps and every j,

    q_s(x)_j <= h(x')_j <= q_m(x)_j,    s = shift(p, eps),  m = mass(p, eps).

Proof. Let y = q_m(x)_j. P[Y_j <= y] >= m at x, so it is at least p at x', and h(x')_j <= y. Now let y = h(x')_j. Then
P[Y_j <= y] >= p at x'. Because x is within eps of x', it is at least s at x, so q_s(x)_j <= y.

The quantiles at x are bounded by order statistics of n samples (`ranks`), with exact binomial tails. Both bounds of all
k coordinates hold together: each of the 2k may fail with probability alpha / 2k. Only quantiles at x are estimated, so
the statement is about all x' at once.

Under a finite noise all L outputs at x are known. h(x')_j is the r-th smallest of them at x', r = ceil(p L). As at most
k' = affected(eps) outputs change, it lies between the (r - k')-th and the (r + k')-th at x.

An output of NaN counts as -inf for the lower bound and as +inf for the upper bound.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from smoothing.as_dict import AsDict
from smoothing.errors import SettingError
from smoothing.noise import FiniteNoise, Noise
from smoothing.origin import Draws, require_sorted
from smoothing.rounding import up
from smoothing.statistics import exact_least_samples, exact_order_statistic

Ranks = tuple[int | None, int | None]  # of the lower and the upper bound, from 1; None: no order statistic is a bound


@dataclass(frozen=True, eq=False)
class QuantileDraws(Draws):
    """The outputs of f at the noisy copies of one input. Every interval at this input is computed from them.

    Attributes:
        outputs: sorted values of each coordinate, (n, k), with NaN last.
        base_output: f(x), (*output shape), of k numbers.

    Raises:
        SettingError: the outputs are not sorted.
    """

    outputs: NDArray[np.float64]
    base_output: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_sorted("outputs", self.outputs)


@dataclass(frozen=True, eq=False)
class QuantileCertificate(AsDict):
    """The statement: lower <= h(x') <= upper in every coordinate, for every x' within eps_in of x, all at once.

    It is false with probability at most `failure_probability`, over the samples at x. It is about the exact quantiles
    at x'. A prediction from n samples there has its own error.

    Attributes:
        eps_in: input radius, in the noise's threat norm and the units of x.
        p: the quantile; 1/2 for the median.
        lower, upper: the bounds, (*output shape), in the units of the outputs; -inf or +inf if there is none.
        estimate: the quantile of the n samples at x, (*output shape), NaN where it is not finite.
        base_output: f(x), (*output shape).
        width: the largest upper - lower of a coordinate, rounded up.
        n: number of samples.
        lower_rank, upper_rank: ranks of the order statistics, from 1; 0 if there is none.
        not_finite: the largest share of a coordinate's samples that are NaN or infinite.
        status: "certified" (all bounds are finite) or "failed".
        reason: why failed; empty otherwise.
        failure_probability: alpha if certified, 0 under a finite noise or if nothing is claimed.
    """

    eps_in: float
    p: float
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    estimate: NDArray[np.float64]
    base_output: NDArray[np.float64]
    width: float
    n: int
    lower_rank: int
    upper_rank: int
    not_finite: float
    status: str
    reason: str
    failure_probability: float


def ranks(p: float, eps: float, noise: Noise, n: int, alpha: float) -> Ranks:
    """The ranks of the order statistics that bound h(x') from below and above, each except with probability alpha.

    The u-th smallest of n samples is below the m-quantile only if u samples are, each with probability at most m. The
    l-th smallest is above the s-quantile only if fewer than l samples are at most that quantile, each with probability
    at least s. The second is the first for 1 - s, counted from the largest.

    Args:
        p: the quantile, in (0, 1).
        eps: input radius, >= 0.
        noise: the smoothing distribution.
        n: number of samples.
        alpha: error probability of each bound.

    Examples:
        >>> from smoothing import Gaussian
        >>> ranks(0.5, eps=0.25, noise=Gaussian(sigma=0.5), n=1000, alpha=0.001)
        (264, 737)
    """
    mass, below = noise.mass(p, eps), min(1.0, up(1 - noise.shift(p, eps)))
    from_top = exact_order_statistic(below, n, alpha)
    return (None if from_top is None else n + 1 - from_top), exact_order_statistic(mass, n, alpha)


def exact_ranks(p: float, eps: float, noise: FiniteNoise) -> Ranks:
    """The ranks that bound h(x') under a finite noise, without error. Arguments as for `ranks`.

    Examples:
        >>> from smoothing import DeterministicSplitting
        >>> exact_ranks(0.5, eps=0.3, noise=DeterministicSplitting(sigma=0.5, levels=10, shape=(3,)))  # L = 17, r = 9
        (6, 12)
    """
    rank, steps = ceil(Fraction(p) * noise.steps), noise.affected(eps)
    return (rank - steps if rank > steps else None), (rank + steps if rank + steps <= noise.steps else None)


def quantile_certificate(
    draws: QuantileDraws, eps: float, p: float, found: Ranks, failure_probability: float
) -> QuantileCertificate:
    """The interval that the draws give.

    Args:
        draws: the outputs at x.
        eps: input radius.
        p: the quantile.
        found: see `ranks` and `exact_ranks`.
        failure_probability: of all coordinates together.
    """
    n, shape = len(draws.outputs), draws.base_output.shape
    lower, upper = bounds(draws, found)
    estimate = draws.outputs[ceil(Fraction(p) * n) - 1]
    share = float((~np.isfinite(draws.outputs)).mean(axis=0).max(initial=0.0))
    finite = bool(np.isfinite(lower).all() and np.isfinite(upper).all())
    reason = "" if finite else _why(found, n, share)
    with np.errstate(invalid="ignore"):
        width = np.where(np.isfinite(lower) & np.isfinite(upper), upper - lower, inf).max(initial=0.0)
    return QuantileCertificate(
        eps_in=eps,
        p=p,
        lower=lower.reshape(shape),
        upper=upper.reshape(shape),
        estimate=np.where(np.isfinite(estimate), estimate, np.nan).reshape(shape),
        base_output=draws.base_output,
        width=up(float(width)),
        n=n,
        lower_rank=found[0] or 0,
        upper_rank=found[1] or 0,
        not_finite=share,
        status="certified" if finite else "failed",
        reason=reason,
        failure_probability=failure_probability if finite else 0.0,
    )


def bounds(draws: QuantileDraws, found: Ranks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lower and the upper bound on each coordinate, (k,) each: order statistics of the outputs at x.

    NaN is stored last, so it counts as +inf from above. From below it counts as -inf: the others move up by its number.
    """
    outputs, (low, high) = draws.outputs, found
    k = outputs.shape[1]
    lower, upper = np.full(k, -inf), np.full(k, inf)
    if high is not None:
        upper = np.where(np.isnan(outputs[high - 1]), inf, outputs[high - 1])
    if low is not None:
        place = low - 1 - np.isnan(outputs).sum(axis=0)
        lower = np.where(place < 0, -inf, outputs[np.maximum(place, 0), np.arange(k)])
    return lower, upper


def _why(found: Ranks, n: int, share: float) -> str:
    if None in found:
        return f"no order statistic of {n} outputs bounds the quantile at this eps"
    return f"a bound is not finite: {share:.1%} of the outputs are NaN or infinite"


def require_feasible(n: int, p: float, alpha: float, eps: list[float], noise: Noise) -> None:
    """Raise SettingError if n samples can never bound an output of one number at some eps; says how many can.

    Examples:
        >>> from smoothing import Gaussian
        >>> require_feasible(n=100, p=0.5, alpha=0.001, eps=[1.0], noise=Gaussian(sigma=0.5))
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.n: 100 samples can never certify eps=1 ...; at least 331 are needed
    """
    for radius in sorted(eps, reverse=True):  # the largest needs the most
        if None in ranks(p, radius, noise, n, alpha / 2):
            worst = max(noise.mass(p, radius), min(1.0, up(1 - noise.shift(p, radius))))
            least = exact_least_samples(worst, alpha / 2)
            many = "no number would do" if least is None else f"at least {least} are needed"
            raise SettingError(f"certifier.n: {n} samples can never certify eps={radius:g} under {noise}; {many}")
