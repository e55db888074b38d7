"""Confidence bounds that hold after every draw at once: one may look after each draw and stop at any time.

A confidence sequence by betting (Ville 1939; Robbins 1970; Waudby-Smith and Ramdas 2024; for smoothed classifiers
Voracek 2024). Pure functions in float64, rounded outward. Every `alpha` is the probability that the function's
one-sided statement is false for any n at all, not only for the n at which one stopped.

**The bet.** X_1, X_2, ... are independent and 1 with probability p. k of the first n are 1. L(t) = t^k (1-t)^(n-k). To
show that p > q, bet on all t > q at once, weighted by the prior Beta(1/2, 1/2) (Krichevsky and Trofimov, KT)
restricted to t > q:

    W_n(q) = E[L(t) | t > q] / L(q) = B(k+1/2, n-k+1/2) P[T > q] / (B(1/2, 1/2) P[t > q] L(q)),

t ~ Beta(1/2, 1/2), T ~ Beta(k+1/2, n-k+1/2), P[t > q] = (2/pi) arccos sqrt(q). For a single t > q, the next draw
multiplies L(t) / L(q) by t/q or by (1-t)/(1-q). The expectation of this factor is 1 + (p - q)(t - q) / (q (1-q)): 1 if
p = q, and less if p < q. So W_n(q), a mixture of such products, is a supermartingale that starts at W_0 = 1 for every
p <= q. By Ville's inequality P[W_n(q) >= 1/alpha for some n] <= alpha. The bound is one-sided, so it uses all of alpha.

**The bound.** W_n decreases in q wherever it is at least e. Proof: let h = 1 / (pi sqrt(q (1-q)) P[t > q]). The
derivative of ln W_n is h (1 - 1/W_n) - (k - nq) / (q (1-q)), and h q (1-q) <= 1/2, so it is negative if k - nq >= 1/2.
If 0 < k - nq < 1/2, then W_n is at most max L / L(q) <= exp((k - nq)^2 / (nq (1-q))) < e for k < n, and at most
q^-n < e for k = n. If k <= nq, it is at most 1. So for alpha <= 1/e the set of q with W_n(q) >= 1/alpha is an interval
that ends at `lower`. That end exceeds p at some n only if W_n(p) >= 1/alpha there, so with probability at most alpha.

**The unrestricted prior.** M_n(q) = B(k+1/2, n-k+1/2) / (B(1/2, 1/2) L(q)) is a martingale for p = q alone, and
M_n(q) >= 1/alpha is a two-sided test at level alpha. Rejecting q only if also k/n > q is a subset of that event, so it
needs no alpha/2 either, but it wastes the share P[t < q] of alpha. Here nothing is bet on t < q. An interval whose two
ends have alpha/2 each needs the threshold ln(2/alpha). Published code has `log(1/alpha/2)`, which is ln(1/(2 alpha)):
the wealth reaches that threshold with probability up to 2 alpha.
"""

from math import log

import numpy as np
import scipy
from numpy.typing import NDArray

from smoothing.rounding import down, up
from smoothing.statistics import require_counts

Values = NDArray[np.float64]
# The largest observed error of ln W is 2.4e-15 n, against 34 digits (random k and q, n up to 10^7). This is forty times
# that.
LOG_MARGIN = 1e-13


def log_wealth(k: NDArray[np.int64] | int, n: int, q: Values | float) -> Values:
    """Log wealth ln W_n(q): the evidence of k successes in n draws that p > q. Not rounded.

    Args:
        k: successes, 0 to n; any shape.
        n: draws, at least 1.
        q: in (0, 1); broadcasts with k.

    Returns:
        ln W_n(q), of the broadcast shape; -inf where float64 underflows.

    Examples:
        >>> round(float(log_wealth(90, 100, 0.5)), 2)
        34.97
        >>> log_wealth(np.array([10, 50, 90]), 100, 0.5).round(2)
        array([-4.85, -2.53, 34.97])
    """
    a, b = np.asarray(k) + 0.5, n - np.asarray(k) + 0.5
    with np.errstate(divide="ignore"):
        tail = np.log(scipy.special.betaincc(a, b, q))
    prior = np.log(2 * np.arctan2(np.sqrt(1 - q), np.sqrt(q)))  # pi P[t > q], as B(1/2, 1/2) = pi
    beta = scipy.special.betaln(a, b)
    evidence: Values = beta + tail - prior - (a - 0.5) * np.log(q) - (b - 0.5) * np.log1p(-np.asarray(q))
    return evidence


def above(k: int, n: int, q: float, alpha: float) -> bool:
    """Whether k successes in n draws show that p > q: W_n(q) >= 1/alpha, rounded down.

    If p <= q, this is true at some n with probability at most alpha. An alpha above 1/e is replaced by 1/e.

    Args:
        k: successes, 0 to n.
        n: draws, at least 1.
        q: in (0, 1).
        alpha: error probability, in (0, 1).

    Raises:
        SettingError: alpha, n or k is out of range.

    Examples:
        >>> above(90, 100, 0.5, 0.001), above(60, 100, 0.5, 0.001)
        (True, False)
    """
    require_counts(n, alpha, k)
    return _excess(k, n, q, alpha) >= 0


def lower(k: int, n: int, alpha: float) -> float:
    """Lower confidence bound on p from k successes in n draws: the largest q with `above`, rounded down; 0 if k = 0.

    It exceeds p at some n with probability at most alpha. In [0, 1), at most k/n.

    Raises:
        SettingError: alpha is outside (0, 1), n < 1, or k is outside 0, ..., n.

    Examples:
        >>> round(lower(990, 1000, 0.001), 4)  # Clopper-Pearson, for a fixed n: 0.976
        0.9712
    """
    require_counts(n, alpha, k)
    rejected, kept = k / (2 * n), min(k / n, 1 - 2**-53)
    while rejected > 0 and _excess(k, n, rejected, alpha) < 0:
        rejected, kept = rejected / 2, rejected
    if rejected == 0:
        return 0.0
    return down(float(scipy.optimize.brentq(lambda q: _excess(k, n, q, alpha), rejected, kept, xtol=1e-300)))


def upper(k: int, n: int, alpha: float) -> float:
    """Upper confidence bound on p: 1 minus the lower bound on the probability of a failure, rounded up.

    It is below p at some n with probability at most alpha. In (0, 1], at least k/n.

    Raises:
        SettingError: as `lower`.

    Examples:
        >>> round(upper(10, 1000, 0.001), 4)
        0.0288
    """
    return min(1.0, up(1 - lower(n - k, n, alpha)))


def _excess(k: int, n: int, q: float, alpha: float) -> float:
    """The excess ln W_n(q) - ln(1/alpha), rounded down."""
    return float(log_wealth(k, n, q)) - max(1.0, log(1 / alpha)) - LOG_MARGIN * (n + 10)
