"""Confidence bounds from counts: pure functions in float64, each rounded outward.

Every `alpha` is an error probability: the function's one-sided statement is false with probability at most alpha.

All functions raise `SettingError` if n or m is below 1, alpha is outside (0, 1) or below 10^-200, a count is outside
0, ..., n, or p is outside [0, 1].
"""

from collections.abc import Callable
from math import ceil, isfinite, log, sqrt

import scipy  # its parts are imported at their first use, which takes half a second

from smoothing.errors import SettingError
from smoothing.rounding import BETA_MARGIN, MANY, TAIL_MARGIN, TAIL_MARGIN_OF_MANY, down, up

LEAST_ALPHA = 1e-200  # SciPy's smaller tails are not accurate: at 10^-300, some are too small by a factor of 100
HALVINGS = 200  # of the interval between a bound that is wrong and the trivial one


def hoeffding_margin(n: int, alpha: float) -> float:
    """Hoeffding's margin D = sqrt(ln(1/alpha) / (2n)) (Hoeffding 1963, theorem 1).

    The mean of n independent samples in [0, 1] exceeds its expectation by more than D with probability at most alpha.
    The same holds for falling below it.

    Examples:
        >>> round(hoeffding_margin(10_000, 0.0025), 4)
        0.0173
    """
    require_counts(n, alpha)
    return up(sqrt(log(1 / alpha) / (2 * n)))


def hoeffding_lower(k: int, n: int, alpha: float) -> float:
    """Hoeffding's lower confidence bound k/n - sqrt(ln(1/alpha) / (2n)) on p, from k successes in n trials.

    It exceeds p with probability at most alpha. It may be negative.

    Examples:
        >>> round(hoeffding_lower(600, 1000, 0.005), 4)
        0.5485
    """
    require_counts(n, alpha, k)
    return down(k / n - hoeffding_margin(n, alpha))


def clopper_pearson_lower(k: int, n: int, alpha: float) -> float:
    """Clopper and Pearson's lower confidence bound on p, from k successes in n trials (Clopper and Pearson 1934).

    The p at which P[Bin(n, p) >= k] = alpha, the alpha-quantile of Beta(k, n - k + 1); 0 if k = 0 and alpha^(1/n) if
    k = n. It exceeds the true p with probability at most alpha. In [0, 1).

    Examples:
        >>> round(clopper_pearson_lower(990, 1000, 0.001), 4)
        0.976
        >>> round(clopper_pearson_lower(1000, 1000, 0.001), 4)  # 0.001 ** (1 / 1000)
        0.9931
    """
    require_counts(n, alpha, k)
    if k == n:
        return down(alpha ** (1 / n))
    if k == 0:
        return 0.0
    bound = down(float(scipy.stats.beta.ppf(alpha, k, n - k + 1)), BETA_MARGIN)
    return _checked(bound, 0.0, lambda p: scipy.special.betainc(k, n - k + 1, p), n, alpha)


def clopper_pearson_upper(k: int, n: int, alpha: float) -> float:
    """Clopper and Pearson's upper confidence bound on p, from k successes in n trials (Clopper and Pearson 1934).

    The p at which P[Bin(n, p) <= k] = alpha; 1 if k = n. It is below the true p with probability at most alpha. In
    (0, 1].

    Examples:
        >>> round(clopper_pearson_upper(10, 1000, 0.001), 4)
        0.024
    """
    require_counts(n, alpha, k)
    if k == n:
        return 1.0
    bound = min(1.0, up(float(scipy.stats.beta.isf(alpha, k + 1, n - k)), BETA_MARGIN))
    return _checked(bound, 1.0, lambda p: scipy.special.betaincc(k + 1, n - k, p), n, alpha)


def _checked(bound: float, safe: float, tail: Callable[[float], float], n: int, alpha: float) -> float:
    """The bound, or a looser one if its tail is above alpha: SciPy's beta quantiles are sometimes wrong.

    At 1000 successes in 10^9 trials and alpha = 0.001, SciPy 1.17 gives twice the right number.

    Args:
        bound: a bound on p.
        safe: the trivial bound, 0 or 1.
        tail: p -> the probability of a count at least as extreme, with a relative error below the margin for n.
        n: number of trials.
        alpha: the largest allowed probability.
    """
    allowed = down(alpha, TAIL_MARGIN_OF_MANY if n > MANY else TAIL_MARGIN)
    if tail(bound) <= allowed:
        return bound
    wrong = bound if isfinite(bound) else 1 - safe
    for _ in range(HALVINGS):
        middle = (safe + wrong) / 2
        safe, wrong = (middle, wrong) if tail(middle) <= allowed else (safe, middle)
    return safe


def hoeffding_median_margin(n: int, alpha: float) -> float:
    """Center smoothing's Delta_1 with Hoeffding's inequality (Kumar and Goldstein 2021, algorithm 1).

    A set of probability 1/2 + Delta_1 holds fewer than n/2 of n samples with probability at most alpha. With
    alpha = alpha_1 / 2 it is Delta_1 = sqrt(ln(2/alpha_1) / (2n)).

    Examples:
        >>> round(hoeffding_median_margin(10_000, 0.005 / 2), 4)
        0.0173
    """
    return hoeffding_margin(n, alpha)


def exact_median_margin(n: int, alpha: float) -> float:
    """Center smoothing's Delta_1 with the exact binomial tail: the least D with P[Bin(n, 1/2 + D) < n/2] <= alpha.

    At most `hoeffding_median_margin`.

    Examples:
        >>> round(exact_median_margin(10_000, 0.005 / 2), 4)
        0.014
    """
    return clopper_pearson_upper(ceil(n / 2) - 1, n, alpha) - 0.5


def dkw_order_statistic(p: float, m: int, alpha: float) -> int | None:
    """The rank k = ceil(q m), q = p + sqrt(ln(1/alpha) / (2m)), of an order statistic that bounds a quantile.

    The k-th smallest of m samples (counted from 1) is below the p-quantile with probability at most alpha (Dvoretzky,
    Kiefer and Wolfowitz 1956, one side with the constant of Massart 1990; Kumar and Goldstein 2021, algorithm 2).
    The rank is rounded up: an interpolated quantile would be too low.

    Returns:
        k, or None if q > 1, because no order statistic is large enough.

    Examples:
        >>> dkw_order_statistic(0.87, 10_000, 0.005)
        8863
        >>> print(dkw_order_statistic(0.99, 10_000, 0.005))  # q > 1
        None
    """
    require_counts(m, alpha, p=p)
    q = p + hoeffding_margin(m, alpha)
    return ceil(up(q * m)) if up(q * m) <= m else None


def dkw_least_samples(p: float, alpha: float) -> int | None:
    """The least m for which `dkw_order_statistic` exists; None if p = 1, where none does.

    Examples:
        >>> dkw_least_samples(0.99, 0.005)
        26492
    """
    require_counts(1, alpha, p=p)
    if p >= 1:
        return None
    m = ceil(log(1 / alpha) / (2 * (1 - p) ** 2))
    while dkw_order_statistic(p, m, alpha) is None:
        m += 1
    return m


def exact_order_statistic(p: float, m: int, alpha: float) -> int | None:
    """The rank k = min{k : P[Bin(m, p) >= k] <= alpha}: the exact counterpart of `dkw_order_statistic`.

    The k-th smallest sample is below the p-quantile only if k samples are. Each sample is below it with probability at
    most p, for discrete laws too.

    Returns:
        k, counted from 1, or None if p^m > alpha.

    Examples:
        >>> exact_order_statistic(0.87, 10_000, 0.005)  # `dkw_order_statistic` needs rank 8863
        8787
    """
    require_counts(m, alpha, p=p)
    alpha = down(alpha, BETA_MARGIN)
    k = max(1, int(scipy.stats.binom.isf(alpha, m, p)))  # within one of the answer; the loops correct it
    while k > 1 and scipy.stats.binom.sf(k - 2, m, p) <= alpha:
        k -= 1
    while k <= m and not scipy.stats.binom.sf(k - 1, m, p) <= alpha:
        k += 1
    return k if k <= m else None


def exact_least_samples(p: float, alpha: float) -> int | None:
    """The least m for which `exact_order_statistic` exists, that is p^m <= alpha; None if p = 1, where none does.

    Examples:
        >>> exact_least_samples(0.99, 0.005)
        528
    """
    require_counts(1, alpha, p=p)
    if p >= 1:
        return None
    m = max(1, ceil(log(alpha) / log(p))) if p > 0 else 1
    while exact_order_statistic(p, m, alpha) is None:
        m += 1
    return m


def require_counts(n: int, alpha: float, k: int = 0, p: float = 0.0) -> None:
    """Raise SettingError unless n >= 1, 0 < alpha < 1 and not tiny, 0 <= k <= n and 0 <= p <= 1."""
    if n < 1:
        raise SettingError(f"number of samples: expected at least 1, got {n}")
    if not 0 < alpha < 1:
        raise SettingError(f"alpha: expected a probability strictly between 0 and 1, got {alpha}")
    if alpha < LEAST_ALPHA:
        raise SettingError(f"alpha: expected at least {LEAST_ALPHA:g}, for which tails are accurate, got {alpha:g}")
    if not 0 <= k <= n:
        raise SettingError(f"count: expected 0 to {n}, got {k}")
    if not 0 <= p <= 1:
        raise SettingError(f"p: expected a probability, got {p}")
