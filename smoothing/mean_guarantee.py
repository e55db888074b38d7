"""The guarantee of the mean of bounded outputs (Kumar et al. 2020, for any noise and from both sides). Pure functions.

Outputs are clipped to [low, high]. Let Y_j be coordinate j of f(x + noise) after that, and h(x)_j = E Y_j.

Theorem. For every x' within eps of x and every j,

    h(x')_j <= high - integral from low to high of shift(P_x[Y_j <= t], eps) dt,
    h(x')_j >= low  + integral from low to high of shift(P_x[Y_j >= t], eps) dt.

Proof. h(x')_j = high - integral of P_x'[Y_j <= t], and P_x'[Y_j <= t] >= shift(P_x[Y_j <= t], eps) for each t. The
second bound is the first for -Y_j. QED

Where 1 - shift(1 - p, eps) = mass(p, eps), as for all noises here but for rounding, the first bound is also
low + integral of mass(P_x[Y_j > t], eps). Under Gaussian noise both bounds are reached by functions of one direction
that increase, so no better bound knows only the distribution of Y_j.

The distribution function is bounded from below at fixed ranks r of n sorted samples (`band`):
P[Y_j <= Y_(r)] >= L_r, the lower bound of Clopper and Pearson from r successes in n. Each of the R levels of each of
the 2k sides of k coordinates fails with probability at most alpha / 2kR. So all levels hold together, and with them
the bounds for every x' and every eps.

Kumar, Levine, Feizi and Goldstein (2020, "Certifying Confidence via Randomized Smoothing") state the lower bound for
Gaussian noise and scores in [0, 1], with the inequality of Dvoretzky, Kiefer and Wolfowitz. That band is as wide in the
tails as in the middle. The one here is narrow in the tails, which reach far if [low, high] is wide. Rekavandi et al.
(2024, alpha-trimmed smoothing for regression) bound the probability that a trimmed mean of samples drawn at x' lies in
a region around the output. The bounds here are on the exact mean, for all x' at once, and need no region. Certificates
of higher order (Zhang and Frank 2026) also use the gradient at x, which these bounds do not know.

Under a finite noise all L outputs at x are known, and at most k = affected(eps) of those at x' differ. So h(x')_j is at
most the mean of the L - k largest and k times `high`, and at least that of the L - k smallest and k times `low`. Both
bounds are reached if any k may change, in any way.

An output of NaN counts as `low` for the lower bound and as `high` for the upper bound.
"""

from dataclasses import dataclass
from math import inf, nextafter
from typing import Literal, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from smoothing.as_dict import AsDict
from smoothing.noise import Noise
from smoothing.quantile_guarantee import QuantileDraws
from smoothing.rounding import down
from smoothing.statistics import clopper_pearson_lower, hoeffding_margin

RANKS = 128  # at which the distribution function is bounded, at most
REACH = 3.5  # they are equally far apart as normal quantiles, from -REACH to REACH
UNIT, TINY = 2.0**-53, 2.0**-1074  # relative and absolute rounding errors of float64

Bound = Literal["exact", "paper"]


class Band(NamedTuple):
    """Lower bounds on a distribution function.

    Attributes:
        ranks: of sorted samples, increasing, from 1.
        levels: a lower bound on the probability of values up to that sample, for each rank.
    """

    ranks: tuple[int, ...]
    levels: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class MeanCertificate(AsDict):
    """The statement: lower <= h(x') <= upper in every coordinate, for every x' within eps_in of x, all at once.

    It is false with probability at most `failure_probability`, over the samples at x. The certificates for all eps at
    one input are false together, through one event. A mean of samples drawn at x' estimates h(x') with its own error.

    Attributes:
        eps_in: input radius, in the noise's threat norm and the units of x.
        low, high: outputs are clipped to this range.
        lower, upper: the bounds, (*output shape), in the units of the outputs.
        estimate: the mean of the n clipped samples at x without NaN, (*output shape).
        base_output: f(x), (*output shape), not clipped.
        width: the largest upper - lower of a coordinate, rounded up.
        n: number of samples.
        not_finite: the largest share of a coordinate's samples that are NaN or infinite.
        status: "certified"; "failed" if the width is that of [low, high].
        reason: why failed; empty otherwise.
        failure_probability: alpha if certified, else 0.
    """

    eps_in: float
    low: float
    high: float
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    estimate: NDArray[np.float64]
    base_output: NDArray[np.float64]
    width: float
    n: int
    not_finite: float
    status: str
    reason: str
    failure_probability: float


def band(n: int, alpha: float, bound: Bound = "exact") -> Band:
    """Ranks r of n sorted samples, and levels L_r with P[Y <= Y_(r)] >= L_r for all of them together.

    False with probability at most alpha, for discrete laws too: Y_(r) is below the L_r-quantile only if r samples are,
    each with probability at most L_r.

    Args:
        n: number of samples.
        alpha: error probability of all levels together.
        bound: "exact" is that of the docstring above; "paper" is r / n - sqrt(ln(1 / alpha) / 2n) at every rank.

    Examples:
        >>> ranks, levels = band(1000, alpha=0.001)
        >>> len(ranks), ranks[-1], round(levels[-1], 4)
        (102, 1000, 0.9885)
        >>> round(band(1000, alpha=0.001, bound="paper").levels[-1], 4)
        0.9412
    """
    if bound == "paper":
        margin = hoeffding_margin(n, alpha)
        return Band(tuple(range(1, n + 1)), tuple(max(0.0, down(r / n - margin)) for r in range(1, n + 1)))
    wanted = np.rint(n * scipy.special.ndtr(np.linspace(-REACH, REACH, RANKS - 1))).astype(int)
    ranks = tuple(sorted({int(r) for r in wanted if 1 <= r <= n} | {n}))
    return Band(ranks, tuple(clopper_pearson_lower(r, n, alpha / len(ranks)) for r in ranks))


def moved(found: Band, eps: float, noise: Noise) -> Band:
    """The levels at every x' within eps: P_x'[Y <= Y_(r)] >= shift(L_r, eps), where Y_(r) is of samples at x."""
    return Band(found.ranks, tuple(noise.shift(level, eps) for level in found.levels))


def upper_mean(outputs: NDArray[np.float64], low: float, high: float, at_other: Band) -> NDArray[np.float64]:
    """The upper bound of each coordinate, (k,), rounded up; at most `high`.

    Args:
        outputs: sorted samples in [low, high], (n, k).
        low: lower end of the range.
        high: upper end of the range.
        at_other: bounds on the distribution function at x' (`moved`).
    """
    ends = np.full((1, outputs.shape[1]), high)
    steps = np.diff(outputs[np.array(at_other.ranks) - 1], axis=0, append=ends)
    bound = high - np.array(at_other.levels) @ steps
    # of the differences, the products and the sums
    error = 2 * UNIT * (len(steps) + 4) * (abs(low) + abs(high)) + (len(steps) + 4) * TINY
    return np.minimum(high, bound + error)


def mean_certificate(
    draws: QuantileDraws, eps: float, low: float, high: float, at_other: Band, alpha: float
) -> MeanCertificate:
    """The bounds that the draws give.

    Args:
        draws: the outputs at x.
        eps: input radius, >= 0.
        low: outputs are clipped to at least this.
        high: and to at most this; above `low`.
        at_other: `moved(band(n, alpha / 2k), eps, noise)`.
        alpha: error probability of all coordinates together, in (0, 1).
    """
    above, below = (_sorted(draws, low, high, missing=end) for end in (high, low))
    upper = upper_mean(above, low, high, at_other)
    lower = -upper_mean(-below[::-1], -high, -low, at_other)
    return _stated(draws, eps, low, high, lower, upper, alpha)


def exact_mean_certificate(draws: QuantileDraws, eps: float, low: float, high: float, k: int) -> MeanCertificate:
    """The bounds from all noisy inputs of a finite noise, of which at most k differ within eps. Never false.

    Args:
        draws: all L outputs at x.
        eps: input radius, >= 0.
        low: outputs are clipped to at least this.
        high: and to at most this; above `low`.
        k: affected(eps).
    """
    above, below = (_sorted(draws, low, high, missing=end) for end in (high, low))
    count, k = len(above), min(k, len(above))
    # The errors of the quotients and their sum. Each is divided by itself, because the sum of large numbers overflows.
    error = 2 * UNIT * (count + 4) * max(abs(low), abs(high)) + (count + 4) * TINY
    upper = np.minimum(high, (above[k:] / count).sum(axis=0) + k * (high / count) + error)
    lower = np.maximum(low, (below[: count - k] / count).sum(axis=0) + k * (low / count) - error)
    return _stated(draws, eps, low, high, lower, upper, 0.0)


def _sorted(draws: QuantileDraws, low: float, high: float, missing: float) -> NDArray[np.float64]:
    """The clipped outputs of each coordinate, sorted, where NaN counts as `missing`: (n, k)."""
    outputs = draws.outputs
    found: NDArray[np.float64] = np.sort(np.where(np.isnan(outputs), missing, np.clip(outputs, low, high)), axis=0)
    return found


def _stated(
    draws: QuantileDraws,
    eps: float,
    low: float,
    high: float,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    alpha: float,
) -> MeanCertificate:
    """The certificate with these bounds of each coordinate, (k,)."""
    n, shape, missing = len(draws.outputs), draws.base_output.shape, np.isnan(draws.outputs)
    clipped = np.clip(draws.outputs, low, high)
    width = float((upper - lower).max(initial=0.0))
    width = nextafter(width, inf) if width else 0.0
    says = width < high - low
    counted = np.maximum(1, n - missing.sum(axis=0))
    estimate = np.where(missing.all(axis=0), np.nan, (np.where(missing, 0.0, clipped) / counted).sum(axis=0))
    return MeanCertificate(
        eps_in=eps,
        low=low,
        high=high,
        lower=lower.reshape(shape),
        upper=upper.reshape(shape),
        estimate=estimate.reshape(shape),
        base_output=draws.base_output,
        width=width,
        n=n,
        not_finite=float((~np.isfinite(draws.outputs)).mean(axis=0).max(initial=0.0)),
        status="certified" if says else "failed",
        reason="" if says else f"nothing is known of a mean but that it is from {low:g} to {high:g}",
        failure_probability=alpha if says else 0.0,
    )
