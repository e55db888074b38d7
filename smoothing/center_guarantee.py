"""Center smoothing's guarantee: from stored draws and an input radius to a certified output radius.

Kumar and Goldstein, "Center Smoothing: Certified Robustness for Networks with Structured Outputs" (2021), algorithms
1 and 2 and theorems 1 to 3. Pure functions in float64, without a model.

One set of draws gives certificates for any number of input radii. Each certificate holds at its own alpha.
"""

from dataclasses import dataclass
from math import inf

from smoothing.arguments import number, probability
from smoothing.bisection import MOST, least_above
from smoothing.center_bounds import BOUNDS, distances_needed, upper_quantile
from smoothing.center_results import CenterDraws, OutputCertificate, Status, statement
from smoothing.errors import SettingError
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.rounding import MARGIN, up

SUM_MARGIN = 2.0**-50  # an output radius is rounded up by at least this, relative, for each number of an output


@dataclass(frozen=True)
class CenterSettings:
    """What is claimed, and by which statistical bounds.

    Args:
        bound: "paper" (Hoeffding's and DKW's inequalities) or "exact" (binomial tails: the same guarantee, without
            their looseness).
        delta: a center is accepted only if the confidence bound on its ball's mass is at least 1/2 - delta, at x and
            at x' alike. In (0, 1/2).
        alpha1: probability that f_hat(x') is farther than gamma (1 + beta) R from f_hat(x) because of the draws at
            x'. In (0, 1).
        alpha2: probability that R_hat is too small because of the draws at x. In (0, 1).

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> CenterSettings(bound="exact", delta=0.05)
        CenterSettings(bound='exact', delta=0.05, alpha1=0.005, alpha2=0.005)
    """

    bound: str = "exact"
    delta: float = 0.05
    alpha1: float = 0.005
    alpha2: float = 0.005

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", number("certifier.delta", self.delta))  # of 64 bits, as the others
        for name in ("alpha1", "alpha2"):
            object.__setattr__(self, name, probability(f"certifier.{name}", getattr(self, name)))
        if self.bound not in BOUNDS:
            raise SettingError(f"certifier.bound: expected one of {', '.join(BOUNDS)}, got {self.bound}")
        if not 0 < self.delta < 0.5:
            raise SettingError(f"certifier.delta: expected a number strictly between 0 and 1/2, got {self.delta}")


def why_abstain(center_radius: float, inside: int, n: int, settings: CenterSettings) -> str:
    """Why the center is not accepted (algorithm 1, last step); empty if it is accepted.

    A center is accepted if max(Delta_1, Delta_2) <= delta, with Delta_2 = 1/2 - p_lower. Delta_1 is about the n samples
    that chose the center. p_lower is the lower confidence bound on the mass of its ball, from `inside` of n fresh
    samples. Each statement fails with probability at most alpha1 / 2. In the paper, p_lower = p_hat - Delta_1.

    Args:
        center_radius: of the center's ball; it must be finite.
        inside: number of the n fresh outputs in that ball.
        n: number of samples that chose the center, and of fresh ones.
        settings: delta, alpha1 and the bound.

    Examples:
        >>> why_abstain(center_radius=0.3, inside=5000, n=10_000, settings=CenterSettings())
        ''
        >>> why_abstain(center_radius=0.3, inside=4000, n=10_000, settings=CenterSettings())
        'max(Delta1 = 0.0140, Delta2 = 0.1137) > delta = 0.05'
    """
    bound, alpha = BOUNDS[settings.bound], settings.alpha1 / 2
    if not center_radius < inf:
        return "half of the distances or more are not finite"
    delta1 = bound.median_margin(n, alpha)
    delta2 = 0.5 - bound.lower(inside, n, alpha)
    if not max(delta1, delta2) <= settings.delta:
        return f"max(Delta1 = {delta1:.4f}, Delta2 = {delta2:.4f}) > delta = {settings.delta}"
    return ""


def certificate(
    draws: CenterDraws, eps: float, noise: Noise, metric: Metric, settings: CenterSettings, beta: float | None = None
) -> OutputCertificate:
    """The certificate for input radius eps that the draws give (algorithm 2).

    p = noise.mass(1/2 + delta, eps), which is Phi(Phi^-1(1/2 + delta) + eps / sigma) for Gaussian noise. R_hat is the
    k-th smallest of the m distances, an upper confidence bound on their p-quantile; k = ceil(q m) with
    q = p + sqrt(ln(1/alpha2) / (2m)) for bound="paper". Then eps_out = gamma (1 + beta) R_hat.

    Proof (theorem 3). B(f_hat(x), R_hat) holds mass at least 1/2 + delta at x'. So the best center for n outputs at x'
    has a median distance of at most R_hat to them, and that of f_hat(x') is at most beta R_hat. Its ball of that radius
    is accepted only if it holds mass at least 1/2 - delta. So the two balls intersect.

    Args:
        draws: result of `CenterSmoothing.draw`.
        eps: input radius, in the noise's threat norm and the units of x, >= 0.
        noise: the noise of the draws.
        metric: the metric of the draws.
        settings: what to claim, and by which bounds. They may differ from the settings of the draws.
        beta: the median distance of the chosen center is at most beta times the best center's; see `Metric.beta`. The
            default, 2 gamma, holds for the medoid, for every better center, and for Smooth-HD's.

    Raises:
        SettingError: eps is negative or not a number.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from smoothing import L2, Gaussian
        >>> draws = CenterDraws(
        ...     base_output=torch.zeros(2),
        ...     center=torch.tensor([0.0, 0.1]),
        ...     center_radius=0.3,
        ...     n=10_000,
        ...     inside=5000,
        ...     distances=np.linspace(0, 1, 1000),
        ...     smoothing_error=0.1,
        ... )
        >>> c = certificate(draws, eps=0.5, noise=Gaussian(sigma=0.5), metric=L2(), settings=CenterSettings())
        >>> c.status, c.order_statistic, round(c.distance_quantile, 4), round(c.eps_out, 4)  # eps_out = 3 R_hat
        ('certified', 898, 0.8979, 2.6937)
        >>> c = certificate(draws, eps=2, noise=Gaussian(sigma=0.5), metric=L2(), settings=CenterSettings())
        >>> c.status, c.reason
        ('failed', '1000 distances cannot bound their 0.999982-quantile; at least 286648 are needed')
    """
    if not 0 <= eps < inf:
        raise SettingError(f"eps: expected a finite number of at least 0, got {eps}")
    rank, r_hat = 0, inf
    status: Status = "abstained"
    reason = why_abstain(draws.center_radius, draws.inside, draws.n, settings)
    if not reason and not len(draws.distances):
        reason = "no certification samples were drawn: stage 1 had abstained"
    if not reason:
        p = noise.mass(0.5 + settings.delta, eps)
        rank, r_hat, reason = upper_quantile(draws.distances, p, settings.bound, settings.alpha2)
        status = "failed" if reason else "certified"
    return statement(
        draws,
        eps,
        metric,
        eps_out=output_radius(draws, r_hat, metric, 2 * metric.gamma if beta is None else beta),
        r_hat=r_hat,
        rank=rank,
        status=status,
        reason=reason,
        failure_probability=settings.alpha1 + settings.alpha2,
    )


def output_radius(draws: CenterDraws, r_hat: float, metric: Metric, beta: float) -> float:
    """The output radius gamma (1 + beta) R_hat, rounded up for the errors of computed distances (docs/soundness.md, 5).

    Args:
        draws: the draws that gave R_hat.
        r_hat: R_hat, a computed distance.
        metric: its `rounding` bounds the errors of computed distances.
        beta: see `certificate`.

    Raises:
        SettingError: beta is below 1, or the metric's `rounding` gives no bounds.
    """
    if not 1 <= beta < inf:
        raise SettingError(f"metric: {metric}.beta: expected a number of at least 1, see `Metric.beta`, got {beta!r}")
    least = up(metric.gamma * (1 + beta) * r_hat, max(MARGIN, SUM_MARGIN * draws.center.numel()))
    if not r_hat < inf:
        return least
    relative, absolute = _rounding(draws, metric)
    ball = (r_hat + absolute) / (1 - relative)  # R: bounds the exact distances from the center at x
    median = (beta + relative * max(1.0, beta)) * ball + absolute  # bounds the computed median of the center at x'
    return max(least, two_balls(draws, r_hat, median, metric))


def two_balls(draws: CenterDraws, r_hat: float, there: float, metric: Metric) -> float:
    """Upper bound on the exact distance of two centers whose balls share an output w, by the triangle inequality.

    The computed distance of w from the center at x is at most r_hat, and from the center at x' at most `there`. Without
    rounding errors the bound is gamma (r_hat + there); see docs/soundness.md, lemma 4.
    """
    relative, absolute = _rounding(draws, metric)
    gamma = metric.gamma
    ball = (r_hat + absolute) / (1 - relative)
    other = (there + absolute + relative * gamma * ball) / (1 - relative * gamma)
    return up(gamma * (ball + other), SUM_MARGIN)


def _rounding(draws: CenterDraws, metric: Metric) -> tuple[float, float]:
    """The metric's bounds on rounding errors, relative and absolute. Raises SettingError if they are none."""
    relative, absolute = metric.rounding(draws.center, draws.base_output.dtype)
    if not (0 <= relative * metric.gamma < 1 and absolute >= 0):
        raise SettingError(
            f"metric: {metric}.rounding: expected a relative error below 1 / gamma and an absolute one, both at least "
            f"0, got {relative!r} and {absolute!r}"
        )
    return relative, absolute


def require_feasible(n: int, m: int, eps: list[float], noise: Noise, settings: CenterSettings) -> None:
    """Raise SettingError if n or m samples can never certify; the message says how many can.

    Args:
        n: number of samples that choose the center.
        m: number of distances.
        eps: all input radii to certify.
        noise: the smoothing distribution.
        settings: delta, alpha1, alpha2 and the bound.

    Examples:
        >>> from smoothing import Gaussian
        >>> require_feasible(n=100, m=1000, eps=[0.5], noise=Gaussian(sigma=0.5), settings=CenterSettings())
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.n: 100 samples always abstain ...; at least 782 are needed, ...
    """
    bound = BOUNDS[settings.bound]
    if bound.median_margin(n, settings.alpha1 / 2) > settings.delta:
        least = least_above(n, lambda k: bound.median_margin(k, settings.alpha1 / 2) <= settings.delta, MOST)
        enough = f"at least {least} are needed, about twice that to succeed often" if least else "no number would do"
        raise SettingError(
            f"certifier.n: {n} samples always abstain at delta={settings.delta} with bound={settings.bound}; {enough}"
        )
    for radius in sorted(eps, reverse=True):  # the largest needs the most
        p = noise.mass(0.5 + settings.delta, radius)
        if bound.order_statistic(p, m, settings.alpha2) is None:
            raise SettingError(
                f"certifier.m: {m} samples can never certify eps={radius:g} under {noise} with bound={settings.bound}; "
                f"{distances_needed(p, settings.bound, settings.alpha2)}"
            )
