"""Randomised Clopper-Pearson bounds: exact for every p, at the price of one uniform number per statement.

Clopper and Pearson's bound is conservative, because a count is a whole number. With an independent uniform number U,
the test that rejects p if P_p[X > k] + U P_p[X = k] <= alpha has level alpha exactly (Voracek 2024; the randomised
tests of Neyman and Pearson). U = 1 gives Clopper and Pearson's bound, and every smaller U a tighter one.
"""

import scipy
import torch

from smoothing.errors import SettingError
from smoothing.rounding import BETA_MARGIN, down, up
from smoothing.statistics import clopper_pearson_lower, require_counts
from smoothing.streams import Stage, Stream


def uniform_number(seed: int, example: int) -> float:
    """The uniform number of an example's bounds, in (0, 1]: a multiple of 2^-53, from a stream of its own.

    It is rounded up, which makes the bounds wider. Always drawn on the CPU.

    Examples:
        >>> round(uniform_number(seed=0, example=3), 4) == round(uniform_number(seed=0, example=3), 4)
        True
    """
    source = Stream(seed, example, Stage.BOUND).block(0, torch.device("cpu"))
    return ((int(source.bits((1,))[0]) >> 11) + 2**52 + 1) * 2.0**-53


def lower(k: int, n: int, alpha: float, u: float) -> float:
    """Lower confidence bound on p from k successes in n trials: the p with P[X > k] + u P[X = k] = alpha, rounded down.

    It exceeds the true p with probability at most alpha, over the trials and a uniform u. At least Clopper and
    Pearson's. In [0, 1).

    Args:
        k: successes, 0 to n.
        n: trials, at least 1.
        alpha: error probability, in (0, 1).
        u: a number in (0, 1] that was drawn for this bound.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> round(lower(990, 1000, 0.001, u=1.0), 5), round(lower(990, 1000, 0.001, u=0.5), 5)
        (0.97604, 0.97662)
    """
    require_counts(n, alpha, k)
    if not 0 < u <= 1:
        raise SettingError(f"u: expected a number above 0, at most 1, got {u}")
    low = clopper_pearson_lower(k, n, alpha)
    if u == 1:
        return low
    high = clopper_pearson_lower(k + 1, n, alpha) if k < n else 1.0
    level = down(alpha, BETA_MARGIN)

    def excess(p: float) -> float:
        above, at_least = scipy.stats.binom.sf((k, k - 1), n, p)
        return float((1 - u) * above + u * at_least) - level

    if excess(low) >= 0:
        return low
    if excess(high) <= 0:  # k = n and u <= alpha: no p is rejected
        return down(high)
    found = float(scipy.optimize.brentq(excess, low, high, xtol=1e-300, rtol=1e-14))
    return max(low, down(found, BETA_MARGIN))


def upper(k: int, n: int, alpha: float, u: float) -> float:
    """Upper confidence bound on p: 1 minus `lower` for the failures. Arguments, level and errors: `lower`. In (0, 1].

    Examples:
        >>> round(upper(10, 1000, 0.001, u=1.0), 5), round(upper(10, 1000, 0.001, u=0.5), 5)
        (0.02396, 0.02338)
    """
    return min(1.0, up(1 - lower(n - k, n, alpha, u)))
