"""The base class of center smoothing's certifiers."""

from collections.abc import Callable
from typing import ClassVar, Unpack

from torch import Tensor

from smoothing.arguments import instance
from smoothing.center_results import CenterDraws, OutputCertificate
from smoothing.draws_certifier import DrawsCertifier
from smoothing.evaluation import EvaluationOptions
from smoothing.metrics import Metric
from smoothing.metrics.checks import require_largest
from smoothing.noise import Noise


class CenterCertifier(DrawsCertifier[CenterDraws, OutputCertificate]):
    """A smoothed function with outputs in a metric space.

    Args:
        f: base function, as for `Smoothed`.
        noise: smoothing distribution in the input space.
        metric: distance in the output space.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: as for `Smoothed`; or the metric declares an impossible largest distance (`require_largest`).
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("index", "eps_in", "eps_out", "smoothing_error", "center_radius", "distance_quantile", "n", "m", "status"),
        *("seconds", "reason", "order_statistic", "failure_probability", "vacuous", "not_finite", "empty"),
    )
    shown = ("index", "eps_in", "eps_out", "smoothing_error", "status", "failure_probability", "seconds")
    younger: ClassVar[tuple[str, ...]] = ("empty",)
    draws = CenterDraws

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        self.metric = instance("metric", metric, Metric, "L2()")
        require_largest(metric, metric.largest)
        super().__init__(f, noise, metric=metric, **evaluation)
