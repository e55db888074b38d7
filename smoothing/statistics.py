"""Confidence bounds from counts: pure functions in float64, each rounded outward.

Every `alpha` is the probability that the one-sided statement made by the function is false.
"""

from math import ceil, log, sqrt

from scipy.stats import beta, binom

from smoothing.errors import SettingError
from smoothing.rounding import BETA_MARGIN, down, up


def hoeffding_margin(n: int, alpha: float) -> float:
    """D such that the mean of n samples in [0, 1] exceeds its expectation by more than D with probability <= alpha.

    sqrt(ln(1/alpha) / (2n)) (Hoeffding 1963); the same for the other side.
    """
    _check(n, alpha)
    return up(sqrt(log(1 / alpha) / (2 * n)))


def hoeffding_lower(k: int, n: int, alpha: float) -> float:
    """Lower bound on p from k successes in n trials, false with probability <= alpha. May be negative."""
    _check(n, alpha, k)
    return down(k / n - hoeffding_margin(n, alpha))


def clopper_pearson_lower(k: int, n: int, alpha: float) -> float:
    """Lower bound on p from k successes in n trials, false with probability <= alpha (Clopper and Pearson 1934).

    The p with P[Bin(n, p) >= k] = alpha; 0 for k = 0, alpha^(1/n) for k = n. In [0, 1].
    """
    _check(n, alpha, k)
    if k == n:
        return down(alpha ** (1 / n))
    return down(float(beta.ppf(alpha, k, n - k + 1)), BETA_MARGIN) if k > 0 else 0.0


def clopper_pearson_upper(k: int, n: int, alpha: float) -> float:
    """Upper bound on p from k successes in n trials, false with probability <= alpha. In [0, 1]; 1 for k = n."""
    _check(n, alpha, k)
    return min(1.0, up(float(beta.isf(alpha, k + 1, n - k)), BETA_MARGIN)) if k < n else 1.0


def hoeffding_median_margin(n: int, alpha: float) -> float:
    """D such that a set of probability 1/2 + D holds fewer than n/2 of n samples with probability <= alpha.

    Center smoothing's Delta_1 with alpha = alpha_1 / 2: sqrt(ln(2/alpha_1) / (2n)).
    """
    return hoeffding_margin(n, alpha)


def exact_median_margin(n: int, alpha: float) -> float:
    """The least D with P[Bin(n, 1/2 + D) < n/2] <= alpha: what `hoeffding_median_margin` bounds."""
    return clopper_pearson_upper(ceil(n / 2) - 1, n, alpha) - 0.5


def dkw_order_statistic(p: float, m: int, alpha: float) -> int | None:
    """K such that the k-th smallest of m samples lies below the p-quantile with probability <= alpha.

    k = ceil(q m) with q = p + sqrt(ln(1/alpha) / (2m)) (Dvoretzky, Kiefer and Wolfowitz; Massart 1990, one side);
    1-based. None where q > 1: no order statistic is large enough. Rounded up: an interpolated quantile is too low.
    """
    _check(m, alpha, p=p)
    q = p + hoeffding_margin(m, alpha)
    return ceil(up(q * m)) if up(q * m) <= m else None


def dkw_least_samples(p: float, alpha: float) -> int | None:
    """The least m for which `dkw_order_statistic` exists; None where none does (p = 1)."""
    _check(1, alpha, p=p)
    if p >= 1:
        return None
    m = ceil(log(1 / alpha) / (2 * (1 - p) ** 2))
    while dkw_order_statistic(p, m, alpha) is None:
        m += 1
    return m


def exact_order_statistic(p: float, m: int, alpha: float) -> int | None:
    """As `dkw_order_statistic`, with the least such k: min{k : P[Bin(m, p) >= k] <= alpha}.

    The k-th smallest lies below the p-quantile only if k samples do, and each does with probability at most p: true
    of discrete laws too. None where p^m > alpha.
    """
    _check(m, alpha, p=p)
    alpha = down(alpha, BETA_MARGIN)
    k = max(1, int(binom.isf(alpha, m, p)))  # within a step of the answer; the two loops make it the answer
    while k > 1 and binom.sf(k - 2, m, p) <= alpha:
        k -= 1
    while k <= m and not binom.sf(k - 1, m, p) <= alpha:
        k += 1
    return k if k <= m else None


def exact_least_samples(p: float, alpha: float) -> int | None:
    """The least m for which `exact_order_statistic` exists, that is p^m <= alpha; None where none does (p = 1)."""
    _check(1, alpha, p=p)
    if p >= 1:
        return None
    m = max(1, ceil(log(alpha) / log(p))) if p > 0 else 1
    while exact_order_statistic(p, m, alpha) is None:
        m += 1
    return m


def _check(n: int, alpha: float, k: int = 0, p: float = 0.0) -> None:
    if n < 1:
        raise SettingError(f"number of samples: expected at least 1, got {n}")
    if not 0 < alpha < 1:
        raise SettingError(f"alpha: expected a probability strictly between 0 and 1, got {alpha}")
    if not 0 <= k <= n:
        raise SettingError(f"count: expected 0 to {n}, got {k}")
    if not 0 <= p <= 1:
        raise SettingError(f"p: expected a probability, got {p}")
