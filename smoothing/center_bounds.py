"""The confidence bounds of center smoothing: the paper's inequalities, or exact binomial tails. Pure functions.

Kumar and Goldstein, "Center Smoothing: Certified Robustness for Networks with Structured Outputs" (2021), algorithms
1 and 2. Balanced center smoothing uses the same bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from smoothing import statistics


@dataclass(frozen=True)
class Bound:
    """The three statistical statements of center smoothing, and the number of samples that the last one needs.

    Attributes:
        median_margin: Delta_1. Fewer than half of n samples lie in a set of mass 1/2 + Delta_1 with probability at most
            alpha1 / 2.
        lower: lower confidence bound on the mass of the center's ball, from k of n samples in it.
        order_statistic: rank k. The k-th smallest of m distances is below the p-quantile with probability at most
            alpha2. None if there is no such rank.
        least_samples: the least m for which `order_statistic` exists; None if there is none.
    """

    median_margin: Callable[[int, float], float]  # (n, alpha1 / 2) -> Delta_1
    lower: Callable[[int, int, float], float]  # (k, n, alpha1 / 2) -> lower bound on the mass
    order_statistic: Callable[[float, int, float], int | None]  # (p, m, alpha2) -> k
    least_samples: Callable[[float, float], int | None]  # (p, alpha2) -> m


BOUNDS = {
    "paper": Bound(
        statistics.hoeffding_median_margin,
        statistics.hoeffding_lower,
        statistics.dkw_order_statistic,
        statistics.dkw_least_samples,
    ),
    "exact": Bound(
        statistics.exact_median_margin,
        statistics.clopper_pearson_lower,
        statistics.exact_order_statistic,
        statistics.exact_least_samples,
    ),
}


def upper_quantile(distances: NDArray[np.float64], p: float, bound: str, alpha2: float) -> tuple[int, float, str]:
    """R_hat: an order statistic that is at least the p-quantile of the distances, except with probability alpha2.

    Args:
        distances: sorted distances of fresh outputs from the center, (m,).
        p: in [0, 1].
        bound: "paper" or "exact", see `BOUNDS`.
        alpha2: in (0, 1).

    Returns:
        The rank k, counted from 1, R_hat, and an empty reason. If there is no such rank, or R_hat is not finite: why;
        without such a rank, 0 and +inf stand for k and R_hat.

    Examples:
        >>> rank, r_hat, _ = upper_quantile(np.linspace(0, 1, 1000), p=0.87, bound="exact", alpha2=0.005)
        >>> rank, round(r_hat, 4)
        (898, 0.8979)
    """
    m = len(distances)
    rank = BOUNDS[bound].order_statistic(p, m, alpha2)
    if rank is None:
        return 0, inf, f"{m} distances cannot bound their {p:.6g}-quantile; {distances_needed(p, bound, alpha2)}"
    r_hat = float(distances[rank - 1])
    return rank, r_hat, "" if r_hat < inf else f"the {rank}-th of {m} outputs from the center is not finite"


def distances_needed(p: float, bound: str, alpha2: float) -> str:
    """In words: the least number m of distances that can bound their p-quantile.

    Examples:
        >>> distances_needed(0.99, bound="exact", alpha2=0.005)
        'at least 528 are needed'
    """
    least = BOUNDS[bound].least_samples(p, alpha2)
    return "no number would do" if least is None else f"at least {least} are needed"
