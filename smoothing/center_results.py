"""The results of center smoothing: what was drawn at an input, and the certificate computed from it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from smoothing.as_dict import AsDict
from smoothing.metrics import Metric
from smoothing.metrics.checks import is_empty
from smoothing.origin import Draws, require_sorted

Status = Literal["certified", "abstained", "failed"]


@dataclass(frozen=True, eq=False)
class CenterDraws(Draws):
    """The results of sampling at one input. Every certificate at this input is computed from them.

    Attributes:
        base_output: f(x), (*output shape).
        center: the candidate that the certifier chose, (*output shape): with the smallest median distance to the n
            outputs of the first stage; in balanced center smoothing, with the smallest ball that holds enough of them.
        center_radius: radius of the ball that is checked, at least 0: that median distance; rho in balanced center
            smoothing. Under a finite noise: radius of the smallest ball around the center that holds enough outputs.
        n: number of samples in the first stage, and again in the fresh check.
        inside: number of the n fresh outputs within `center_radius` of the center.
        distances: sorted distances of the m certification outputs from the center, (m,), with +inf for an output that
            is not finite; (0,) if the center was not accepted.
        smoothing_error: d(f(x), center).
        held: for each candidate (deterministic: each output), how many of the n outputs lie within `held_within` of it,
            sorted, (candidates,); None if they were not counted. For `OutputCertificate.answers`.
        held_within: that distance, rho. For rounding errors, the counts are within a slightly smaller one.

    Raises:
        SettingError: the distances, or the numbers in `held`, are not sorted.
    """

    base_output: Tensor
    center: Tensor
    center_radius: float
    n: int
    inside: int
    distances: NDArray[np.float64]
    smoothing_error: float
    held: NDArray[np.int64] | None = None
    held_within: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_sorted("distances", self.distances)
        if self.held is not None:
            require_sorted("held", self.held)


@dataclass(frozen=True, eq=False)
class OutputCertificate(AsDict):
    """The statement: d(f_hat(x), f_hat(x')) <= eps_out for each x' within eps_in of x at which f_hat does not abstain.

    For each fixed x' it holds with probability at least 1 - failure_probability, over the draws at x and the fresh
    draws at x'. It is not one statement about all x' at once.

    Balanced center smoothing may add a statement: f_hat does not abstain at x' (`answers`).

    Attributes:
        eps_in: input radius, in the noise's threat norm and the units of x.
        eps_out: output radius, in the metric's units: gamma (1 + beta) R_hat; gamma (R_hat + rho) in balanced center
            smoothing; +inf if not certified.
        smoothing_error: d(f(x), f_hat(x)).
        center_radius: see `CenterDraws`.
        distance_quantile: R_hat, the `order_statistic`-th smallest of m distances; +inf if not certified.
        n: number of samples that choose the center, and again of those that check it.
        m: number of distances for R_hat; 0 if the center was not accepted.
        status: "certified"; "abstained" (the center was not accepted); or "failed" (no order statistic is large enough,
            or it is not finite).
        reason: why not certified; empty if certified.
        order_statistic: the rank k; 0 if not certified.
        failure_probability: alpha1 + alpha2 if certified (Smooth-HD adds to it), and alpha3 if `answers`; 0 if nothing
            is claimed.
        vacuous: whether eps_out is at least the metric's largest distance.
        not_finite: share of the m outputs that were not finite.
        center: f_hat(x), (*output shape).
        empty: whether the center says that nothing was found; see `Metric.empty`.
        answers: whether f_hat surely answers at each x' within eps_in. False: it may abstain there. None: nothing was
            computed about it.
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
    answers: bool | None = None


def statement(
    draws: CenterDraws,
    eps: float,
    metric: Metric,
    *,
    eps_out: float,
    r_hat: float,
    rank: int,
    status: Status,
    reason: str,
    failure_probability: float,
    answers: bool | None = None,
    alpha3: float = 0.0,
) -> OutputCertificate:
    """An `OutputCertificate` from the draws and what was computed from them.

    Args:
        draws: the draws at x.
        eps: input radius.
        metric: distance in the output space.
        eps_out: output radius; +inf if not certified.
        r_hat: see `distance_quantile`.
        rank: see `order_statistic`; 0 if not certified.
        status: see `OutputCertificate`.
        reason: empty if certified.
        failure_probability: what the claim costs if certified; 0 is stored otherwise.
        answers: see `OutputCertificate`.
        alpha3: what `answers` costs if true.
    """
    certified = status == "certified"
    return OutputCertificate(
        eps_in=eps,
        eps_out=eps_out,
        smoothing_error=draws.smoothing_error,
        center_radius=draws.center_radius,
        distance_quantile=r_hat,
        n=draws.n,
        m=len(draws.distances),
        status=status,
        reason=reason,
        order_statistic=rank if certified else 0,
        failure_probability=(failure_probability if certified else 0.0) + (alpha3 if answers else 0.0),
        vacuous=eps_out >= metric.largest_distance(draws.center.shape),
        not_finite=float(np.isinf(draws.distances).mean()) if len(draws.distances) else 0.0,
        center=draws.center.clone(),
        empty=is_empty(metric, draws.center),
        answers=answers,
    )
