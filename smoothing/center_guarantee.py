"""Center smoothing's guarantee: stored draws and an eps in, an output radius out. Pure, float64, no model.

Kumar and Goldstein, "Center Smoothing: Certified Robustness for Networks with Structured Outputs" (2021), algorithms
1 and 2 and theorem 1. One set of draws answers any number of eps, each answer valid at its own alpha.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from smoothing import statistics
from smoothing.as_dict import AsDict
from smoothing.errors import SettingError
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.rounding import MARGIN, up

Status = Literal["certified", "abstained", "failed"]

SUM_MARGIN = 2.0**-50  # an output radius is rounded up by at least this, relative, for each number of the outputs


@dataclass(frozen=True)
class Bound:
    """The three statistical statements of center smoothing, and the samples that the last one needs."""

    median_margin: Callable[[int, float], float]  # (n, alpha1 / 2) -> Delta_1
    lower: Callable[[int, int, float], float]  # (k, n, alpha1 / 2) -> lower bound on the mass of the center's ball
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


@dataclass(frozen=True)
class CenterSettings:
    """What is claimed, and how it is proved.

    Args:
        bound: "paper" (Hoeffding and DKW) or "exact" (binomial tails; the same guarantee, no looseness).
        delta: a center counts only if its ball surely holds mass 1/2 - delta; the same at x and at x'. In (0, 1/2).
        alpha1: probability that f_hat(x') is not within (1 + beta) R of the center because of the draws at x'.
        alpha2: probability that R_hat is too small because of the draws at x.
    """

    bound: str = "exact"
    delta: float = 0.05
    alpha1: float = 0.005
    alpha2: float = 0.005

    def __post_init__(self) -> None:
        if self.bound not in BOUNDS:
            raise SettingError(f"certifier.bound: expected one of {', '.join(BOUNDS)}, got {self.bound}")
        if not 0 < self.delta < 0.5:
            raise SettingError(f"certifier.delta: expected a number strictly between 0 and 1/2, got {self.delta}")
        for name in ("alpha1", "alpha2"):
            if not 0 < getattr(self, name) < 1:
                raise SettingError(
                    f"certifier.{name}: expected a probability strictly between 0 and 1, got {getattr(self, name)}"
                )


@dataclass(frozen=True, eq=False)
class CenterDraws(AsDict):
    """All that was drawn for one example: the data from which every certificate is read.

    Attributes:
        base_output: f(x), (*output shape).
        center: the point with the smallest median distance to the n outputs of stage 1, (*output shape).
        center_radius: that median distance.
        n: samples of stage 1, and of the fresh check.
        inside: how many of the n fresh outputs lie within `center_radius` of the center.
        distances: (m,) sorted distances of the m fresh certification outputs from the center, +inf for an output that
            is not finite; empty where the center was not accepted.
        smoothing_error: d(f(x), center).
    """

    base_output: Tensor
    center: Tensor
    center_radius: float
    n: int
    inside: int
    distances: NDArray[np.float64]
    smoothing_error: float


@dataclass(frozen=True, eq=False)
class OutputCertificate(AsDict):
    """For every x' within eps_in of x at which f_hat does not abstain: d(f_hat(x), f_hat(x')) <= eps_out.

    It holds, for each fixed x', with probability at least 1 - failure_probability over the draws at x and the fresh
    draws at x'; it is not one statement about all x' at once.

    Attributes:
        eps_in: input radius, in the noise's threat norm.
        eps_out: output radius, gamma (1 + beta) R_hat; +inf where not certified.
        smoothing_error: d(f(x), f_hat(x)).
        center_radius: median distance of the samples from the center.
        distance_quantile: R_hat, the `order_statistic`-th smallest of m distances; +inf where not certified.
        n, m: samples for the center (and again for its check), and for R_hat.
        status: certified; abstained (the center was not accepted); failed (no finite order statistic is large enough).
        reason: why not certified; empty otherwise.
        order_statistic: k; 0 where not certified.
        failure_probability: alpha1 + alpha2 where certified (Smooth-HD adds to it); 0 where nothing is claimed.
        vacuous: eps_out is at or above the metric's largest distance.
        not_finite: share of the m outputs that were not finite.
        center: f_hat(x), (*output shape).
        empty: the center says that nothing was found, see `Metric.empty`.
    """

    eps_in: float
    eps_out: float
    smoothing_error: float
    center_radius: float
    distance_quantile: float
    n: int
    m: int
    status: Status
    reason: str
    order_statistic: int
    failure_probability: float
    vacuous: bool
    not_finite: float
    center: Tensor
    empty: bool = False


def why_abstain(center_radius: float, inside: int, n: int, settings: CenterSettings) -> str:
    """Why the center is not accepted (algorithm 1, its last step); empty where it is.

    Delta_1 covers the n samples that chose the center, Delta_2 the n fresh ones that check it; both must be at most
    delta, and both statements together fail with probability at most alpha1.
    """
    bound, alpha = BOUNDS[settings.bound], settings.alpha1 / 2
    if not center_radius < float("inf"):
        return "half of the outputs or more are not finite"
    delta1 = bound.median_margin(n, alpha)
    delta2 = 0.5 - bound.lower(inside, n, alpha)
    if not max(delta1, delta2) <= settings.delta:
        return f"max(Delta1 = {delta1:.4f}, Delta2 = {delta2:.4f}) > delta = {settings.delta}"
    return ""


def certificate(
    draws: CenterDraws, eps: float, noise: Noise, metric: Metric, settings: CenterSettings, beta: float | None = None
) -> OutputCertificate:
    """Read the certificate for input radius eps off the draws (algorithm 2).

    Why gamma (1 + beta) R_hat (theorem 3): B(f_hat(x), R_hat) holds mass 1/2 + delta at x', so the best center for n
    outputs at x' has a median distance of at most R_hat to them, and f_hat(x') one of at most beta R_hat. Its ball of
    that radius is accepted for holding mass 1/2 - delta, so the two balls meet.

    Args:
        draws: what `CenterSmoothing.draw` drew.
        eps: input radius in the noise's threat norm and the input's units, >= 0.
        noise: the noise of the draws.
        metric: the metric of the draws.
        settings: what to claim, and by which bound; neither need be those of the draws.
        beta: how much farther than the best center the one that was chosen may lie, see `Metric.beta`; 2 gamma, which
            holds however it was chosen, where it is not given.

    Raises:
        SettingError: eps is negative or not a number.
    """
    if not 0 <= eps < float("inf"):
        raise SettingError(f"eps: expected a number of at least 0, got {eps}")
    k: int | None = None
    r_hat = float("inf")
    m = len(draws.distances)
    status: Status = "certified"
    reason = why_abstain(draws.center_radius, draws.inside, draws.n, settings)
    if reason or m == 0:
        status, reason = "abstained", reason or "no certification samples were drawn: stage 1 had abstained"
    else:
        p = noise.mass(0.5 + settings.delta, eps)
        k = BOUNDS[settings.bound].order_statistic(p, m, settings.alpha2)
        if k is None:
            status, reason = "failed", f"{m} distances cannot bound their {p:.6g}-quantile; {needed(p, settings)}"
        elif not (r_hat := float(draws.distances[k - 1])) < float("inf"):
            status, reason = "failed", f"the {k}-th of {m} outputs from the center is not finite"
    certified = status == "certified"
    eps_out = output_radius(draws, r_hat, metric, 2 * metric.gamma if beta is None else beta)
    return OutputCertificate(
        eps_in=eps,
        eps_out=eps_out,
        smoothing_error=draws.smoothing_error,
        center_radius=draws.center_radius,
        distance_quantile=r_hat,
        n=draws.n,
        m=m,
        status=status,
        reason=reason,
        order_statistic=k if certified and k is not None else 0,
        failure_probability=settings.alpha1 + settings.alpha2 if certified else 0.0,
        vacuous=eps_out >= metric.largest_distance(draws.center.shape),
        not_finite=float(np.isinf(draws.distances).mean()) if m else 0.0,
        center=draws.center,
        empty=bool(metric.empty(draws.center[None])[0]),
    )


def output_radius(draws: CenterDraws, r_hat: float, metric: Metric, beta: float) -> float:
    """Gamma (1 + beta) R_hat, rounded up by what the computed distances may be off by (docs/soundness.md, 5).

    Args:
        draws: those that R_hat was read from.
        r_hat: R_hat, a computed distance.
        metric: whose `rounding` says how far computed distances are from exact ones.
        beta: see `certificate`.
    """
    gamma = metric.gamma
    least = up(gamma * (1 + beta) * r_hat, max(MARGIN, SUM_MARGIN * draws.center.numel()))
    if not r_hat < float("inf"):
        return least
    relative, absolute = metric.rounding(draws.center, draws.base_output.dtype)
    ball = (r_hat + absolute) / (1 - relative)  # R: exact distances from the center at x
    median = (beta + relative * max(1.0, beta)) * ball + absolute  # computed at x', of the center there
    there = (median + absolute + relative * gamma * ball) / (1 - relative * gamma)  # exact, of a point in both balls
    return max(least, up(gamma * (ball + there), SUM_MARGIN))


def needed(p: float, settings: CenterSettings) -> str:
    """In words: the samples m with which the p-quantile can be bounded."""
    least = BOUNDS[settings.bound].least_samples(p, settings.alpha2)
    return "no number would do" if least is None else f"at least {least} are needed"


def require_feasible(n: int, m: int, eps: list[float], noise: Noise, settings: CenterSettings) -> None:
    """Raise SettingError where n or m samples can never certify, naming how many would."""
    bound = BOUNDS[settings.bound]
    if bound.median_margin(n, settings.alpha1 / 2) > settings.delta:
        least = n
        while bound.median_margin(least, settings.alpha1 / 2) > settings.delta:
            least *= 2
        low, high = least // 2, least
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (middle, high) if bound.median_margin(middle, settings.alpha1 / 2) > settings.delta else (low, middle)
            )
        raise SettingError(
            f"certifier.n: {n} samples always abstain at delta={settings.delta} with bound={settings.bound}; "
            f"at least {high} are needed, about twice that to succeed often"
        )
    for radius in sorted(eps, reverse=True):  # the largest needs most
        p = noise.mass(0.5 + settings.delta, radius)
        if bound.order_statistic(p, m, settings.alpha2) is None:
            raise SettingError(
                f"certifier.m: {m} samples can never certify eps={radius:g} under {noise} with bound={settings.bound}; "
                f"{needed(p, settings)}"
            )
