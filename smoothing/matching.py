"""The fewest samples that give a center smoothing certificate as strong as the paper's. Pure functions.

Kumar and Goldstein (2021) certify from n = 10^4 and m = 10^6 samples with Hoeffding's and DKW's inequalities. Exact
binomial tails give a certificate as strong from far fewer samples, with the same delta, alpha1 and alpha2, and a
quantile that is no higher.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy

from smoothing.balanced_guarantee import BalancedSettings
from smoothing.bisection import least_number
from smoothing.center_bounds import BOUNDS
from smoothing.center_guarantee import CenterSettings, require_feasible
from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.rounding import BETA_MARGIN, down
from smoothing.statistics import hoeffding_margin

ACCEPTED = 0.99  # probability that a center is accepted, where it is not fitted to its own sample
ZIGZAG = 50  # samples by which that probability is not monotone
LOWER = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)  # of the paper's delta, that are tried instead
PAIRS = 2500  # of outputs, compared for the medoid in the time of a sample: MNIST autoencoder, CPU, 1800 to 3200
PAPER_DELTA = 0.05  # section 5
AT_ONCE = 2**16  # numbers of samples that are tried together


def matched_samples(n: int, m: int, eps: Sequence[float], noise: Noise, settings: CenterSettings) -> tuple[int, int]:
    """The least n and m for which bound=exact is as strong as bound=paper with the given n and m.

    Args:
        n: the paper's samples for the center.
        m: the paper's samples for the output radius.
        eps: all input radii to be certified; the answer serves each of them.
        noise: the smoothing distribution.
        settings: delta, alpha1 and alpha2, of both; its bound is not used.

    Returns:
        n, see `least_center_samples`, and m, see `least_distances`, neither larger than those given.

    Raises:
        SettingError: no eps, or n or m samples can never certify one with bound=paper.
    """
    if not eps:
        raise SettingError("eps: expected at least one input radius that the certificates are to be matched for")
    require_feasible(n, m, list(eps), noise, replace(settings, bound="paper"))
    masses = [noise.mass(0.5 + settings.delta, radius) for radius in eps]
    return least_center_samples(n, settings), least_distances(m, masses, settings.alpha2)


def matched_settings(
    n: int, m: int, eps: Sequence[float], noise: Noise, settings: CenterSettings
) -> tuple[int, int, float]:
    """As `matched_samples`, with a smaller delta if that needs less work in total.

    A smaller delta needs more samples to accept a center: n grows as 1 / delta^2. But it also lowers the mass whose
    quantile is bounded, Phi(Phi^-1(1/2 + delta) + eps / sigma), farther below the paper's q. The distances needed fall
    with the square of that gap, at h = eps / sigma = 1 to a twentieth and less. Every statement uses the smaller delta,
    at x and at x', so center and quantile claim no less than the paper's. The medoid of n outputs compares n^2 pairs,
    which count as n^2 / `PAIRS` samples.

    Returns:
        n, m and delta, of `LOWER` times the one given the best.

    Raises:
        SettingError: as `matched_samples`.
    """
    centers, distances = matched_samples(n, m, eps, noise, settings)
    best = centers, distances, settings.delta
    papers = [noise.mass(0.5 + settings.delta, radius) for radius in eps]
    for share in LOWER:
        lower = replace(settings, delta=round(share * settings.delta, 12))
        centers = least_center_samples(n, lower)
        if _accepted(centers, lower) < ACCEPTED:
            break  # not even the paper's n accepts a center so often
        own = [noise.mass(0.5 + lower.delta, radius) for radius in eps]
        distances = least_distances(m, papers, settings.alpha2, own)
        if _work(centers, distances) < _work(*best[:2]):
            best = centers, distances, lower.delta
    return best


def least_center_samples(n: int, settings: CenterSettings) -> int:
    """The least number of samples, at most n, by which a center is accepted with probability `ACCEPTED`.

    With far fewer delta can be met, but chance often has it missed. The center's radius is the ceil(n/2)-th smallest of
    n distances, so its ball holds a mass distributed as Beta(ceil(n/2), floor(n/2) + 1), and the number of n fresh
    samples in it is beta-binomial. The ball of a center that is fitted to the same n samples may hold a little less.
    """
    high = least_number(lambda k: _accepted(k, settings) >= ACCEPTED, 0, n)
    # The counts are whole, so the probability rises in a zigzag: a slightly smaller number may do.
    return next((k for k in range(max(1, high - ZIGZAG), high) if _accepted(k, settings) >= ACCEPTED), high)


def least_distances(m: int, masses: Sequence[float], alpha: float, own: Sequence[float] | None = None) -> int:
    """The least number of distances whose exact order statistic is no higher a quantile than the paper's of m.

    The paper's is q = p + sqrt(ln(1/alpha) / (2m)). So P[Bin(m', p') >= floor(q m')] <= alpha must hold for every p and
    the p' <= p that is bounded instead.
    Every number m' is tried, the smallest first: one that will do may be followed by some that will not.

    Args:
        m: the paper's number, from which each mass can be bounded.
        masses: probabilities p whose quantiles the paper bounds.
        alpha: probability that a bound is too small.
        own: probabilities p' whose quantiles are to be bounded; the same where not given.
    """
    margin = hoeffding_margin(m, alpha)
    for start in range(1, m, AT_ONCE):
        tried = np.arange(start, min(start + AT_ONCE, m))
        will_do = np.ones(len(tried), dtype=bool)
        for p, bounded in zip(masses, masses if own is None else own, strict=True):
            rank = np.floor(down(p + margin) * tried)
            will_do &= scipy.stats.binom.sf(rank - 1, tried, bounded) <= down(alpha, BETA_MARGIN)
        if will_do.any():
            return int(tried[will_do.argmax()])
    return m


def balanced_distances(m: int, eps: Sequence[float], noise: Noise, settings: BalancedSettings) -> int:
    """The least m for balanced center smoothing whose R_hat is at no higher quantile than the paper's for every eps.

    The paper reads R_hat from m distances by DKW's inequality at Phi(Phi^-1(1/2 + delta) + eps / sigma), delta = 0.05.
    Balanced center smoothing reads it at the lower Phi(Phi^-1(1 - q) + eps / sigma). So, up to chance, its R_hat is no
    larger, and its output radius is no larger than the paper's where rho is at most beta times the paper's R_hat.

    Args:
        m: the paper's distances.
        eps: all input radii to be certified.
        noise: the smoothing distribution.
        settings: q and alpha2.

    Raises:
        SettingError: no eps, or m distances can never certify one with the paper's bound.

    Examples:
        >>> from smoothing import Gaussian
        >>> balanced_distances(10**6, [1.0], Gaussian(sigma=0.5), BalancedSettings(q=0.84, rho=1.0))
        44
    """
    if not eps:
        raise SettingError("eps: expected at least one input radius that the certificates are to be matched for")
    paper = CenterSettings("paper", PAPER_DELTA, settings.alpha1, settings.alpha2)
    require_feasible(10**6, m, list(eps), noise, paper)
    papers = [noise.mass(0.5 + PAPER_DELTA, radius) for radius in eps]
    return least_distances(m, papers, settings.alpha2, [noise.mass(settings.rest, radius) for radius in eps])


def _work(n: int, m: int) -> float:
    """Of a certificate from n samples for the center and m distances, in samples."""
    return 2 * n + m + n**2 / PAIRS


def _accepted(n: int, settings: CenterSettings) -> float:
    """Probability that n fresh samples accept a center of n samples that it does not depend on, under bound=exact."""
    exact, alpha = BOUNDS["exact"], settings.alpha1 / 2
    if exact.median_margin(n, alpha) > settings.delta:
        return 0.0
    # All n inside are accepted, as the median margin is small enough.
    least = least_number(lambda inside: 0.5 - exact.lower(inside, n, alpha) <= settings.delta, -1, n)
    return float(scipy.stats.betabinom.sf(least - 1, n, (n + 1) // 2, n // 2 + 1))
