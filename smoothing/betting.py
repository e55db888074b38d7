"""Bounds on a probability that hold at all times at once, so that one may look after every draw and stop at will.

A confidence sequence by betting (Ville 1939; Robbins 1970; Waudby-Smith and Ramdas 2024; for smoothed classifiers
Voracek 2024). Pure functions in float64, rounded outward. Every `alpha` is the probability that the one-sided statement
made by a function is false for any n at all, and not only for the n at which one stopped.

**The bet.** X_1, X_2, ... are independent, 1 with probability p; k of the first n are 1; L(t) = t^k (1-t)^(n-k). To
show that p > q, bet on every t > q at once, in the proportions of the prior Beta(1/2, 1/2) (Krichevsky and Trofimov,
KT) cut off at q:

    W_n(q) = E[L(t) | t > q] / L(q) = B(k+1/2, n-k+1/2) P[T > q] / (B(1/2, 1/2) P[t > q] L(q)),

t ~ Beta(1/2, 1/2), T ~ Beta(k+1/2, n-k+1/2), P[t > q] = (2/pi) arccos sqrt(q). For a single t > q the next draw
multiplies L(t) / L(q) by t/q or (1-t)/(1-q), in the mean 1 + (p - q)(t - q) / (q (1-q)): 1 where p = q, less where
p < q. So W_n(q), a mixture of such, is a supermartingale from W_0 = 1 for every p <= q, and by Ville's inequality
P[W_n(q) >= 1/alpha for some n] <= alpha: all of alpha, there being one side.

**The bound.** W_n falls in q wherever it is at least e. With h = 1 / (pi sqrt(q (1-q)) P[t > q]) the derivative of
ln W_n is h (1 - 1/W_n) - (k - nq) / (q (1-q)), and h q (1-q) <= 1/2: it is negative where k - nq >= 1/2. Where
0 < k - nq < 1/2, W_n is at most max L / L(q) <= exp((k - nq)^2 / (nq (1-q))) < e for k < n, and at most q^-n < e for
k = n; where k <= nq it is at most 1. So for alpha <= 1/e the q with W_n(q) >= 1/alpha are those up to one, `lower`; it
exceeds p at some n only if W_n(p) >= 1/alpha there, so with probability at most alpha.

**The whole prior**, M_n(q) = B(k+1/2, n-k+1/2) / (B(1/2, 1/2) L(q)), is a martingale for p = q alone, and
M_n(q) >= 1/alpha a two-sided test at level alpha. To reject q only where k/n > q, too, is part of that event and needs
no alpha/2 either, but leaves a share P[t < q] of alpha unused; here nothing is bet on t < q. Two ends of which each has
alpha/2 need the threshold ln(2/alpha). `log(1/alpha/2)`, as published code has it, is ln(1/(2 alpha)): what it is
compared with gets there with probability up to 2 alpha.
"""

from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincc, betaln

from smoothing.errors import SettingError
from smoothing.rounding import down, up

Values = NDArray[np.float64]
# ln W was seen off by 2.4e-15 n against 34 digits (random k and q, n up to 10^7); the margin is forty times that.
LOG_MARGIN = 1e-13


def log_wealth(k: NDArray[np.int64] | int, n: int, q: Values | float) -> Values:
    """Ln W_n(q), the evidence of k successes in n draws that p > q. Not rounded; -inf where it is below float64.

    Args:
        k: successes, 0 to n; any shape.
        n: draws, at least 1.
        q: in (0, 1); broadcasts with k.
    """
    a, b = np.asarray(k) + 0.5, n - np.asarray(k) + 0.5
    with np.errstate(divide="ignore"):
        tail = np.log(betaincc(a, b, q))
    prior = np.log(2 * np.arctan2(np.sqrt(1 - q), np.sqrt(q)))  # pi P[t > q], as B(1/2, 1/2) = pi
    evidence: Values = betaln(a, b) + tail - prior - (a - 0.5) * np.log(q) - (b - 0.5) * np.log1p(-np.asarray(q))
    return evidence


def above(k: int, n: int, q: float, alpha: float) -> bool:
    """Whether k successes in n draws show that p > q; at some n they do so falsely with probability <= alpha.

    q in (0, 1). W_n(q) >= 1/alpha, rounded down; where alpha > 1/e, that of alpha = 1/e. Errors: see `lower`.
    """
    _check(k, n, alpha)
    return _excess(k, n, q, alpha) >= 0


def lower(k: int, n: int, alpha: float) -> float:
    """Lower bound on p from k successes in n draws; above p at some n with probability <= alpha. In [0, 1), <= k/n.

    The largest q with `above`, rounded down; 0 for k = 0.

    Raises:
        SettingError: alpha outside (0, 1), n < 1 or k outside 0, ..., n.
    """
    _check(k, n, alpha)
    rejected, kept = k / (2 * n), min(k / n, 1 - 2**-53)
    while rejected > 0 and _excess(k, n, rejected, alpha) < 0:
        rejected, kept = rejected / 2, rejected
    if rejected == 0:
        return 0.0
    return down(float(brentq(lambda q: _excess(k, n, q, alpha), rejected, kept, xtol=1e-300)))


def upper(k: int, n: int, alpha: float) -> float:
    """Upper bound on p; below p at some n with probability <= alpha. In (0, 1], >= k/n. Errors: see `lower`.

    One minus the lower bound on the probability of a failure.
    """
    return min(1.0, up(1 - lower(n - k, n, alpha)))


def _excess(k: int, n: int, q: float, alpha: float) -> float:
    """Ln W_n(q) - ln(1/alpha), rounded down."""
    return float(log_wealth(k, n, q)) - max(1.0, log(1 / alpha)) - LOG_MARGIN * (n + 10)


def _check(k: int, n: int, alpha: float) -> None:
    if not 0 < alpha < 1:
        raise SettingError(f"alpha: expected a probability strictly between 0 and 1, got {alpha}")
    if n < 1:
        raise SettingError(f"number of samples: expected at least 1, got {n}")
    if not 0 <= k <= n:
        raise SettingError(f"count: expected 0 to {n}, got {k}")
