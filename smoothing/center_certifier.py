"""The base class of center smoothing's certifiers."""

from typing import ClassVar

from smoothing.center_guarantee import CenterDraws, OutputCertificate
from smoothing.draws_certifier import DrawsCertifier
from smoothing.metrics import Metric


class CenterCertifier(DrawsCertifier[CenterDraws, OutputCertificate]):
    """A smoothed function with outputs in a metric space.

    Attributes:
        metric: distance in the output space.
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("index", "eps_in", "eps_out", "smoothing_error", "center_radius", "distance_quantile", "n", "m", "status"),
        *("seconds", "reason", "order_statistic", "failure_probability", "vacuous", "not_finite", "empty"),
    )
    shown = ("index", "eps_in", "eps_out", "smoothing_error", "status", "failure_probability", "seconds")
    younger: ClassVar[tuple[str, ...]] = ("empty",)
    draws = CenterDraws

    metric: Metric
