"""What the certifiers of center smoothing share: one set of draws, read for every input radius."""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from smoothing.arguments import input_radii
from smoothing.center_guarantee import CenterDraws, OutputCertificate
from smoothing.certifier import Certifier
from smoothing.metrics import Metric
from smoothing.sampling import Procedure
from smoothing.smoothed import Smoothed


class CenterCertifier(Smoothed, Certifier):
    """A smoothed function with outputs in a metric space: a row for each input radius, from draws that are kept.

    Attributes:
        metric: distance in the output space.
    """

    columns = (
        *("index", "eps_in", "eps_out", "smoothing_error", "center_radius", "distance_quantile", "n", "m", "status"),
        *("seconds", "reason", "order_statistic", "failure_probability", "vacuous", "not_finite", "empty"),
    )
    shown = ("index", "eps_in", "eps_out", "smoothing_error", "status", "failure_probability", "seconds")
    younger = ("empty",)
    case = "eps_in"
    needs_labels = False
    draws = CenterDraws

    metric: Metric

    @abstractmethod
    def drawing(self, x: Tensor, example: int) -> Procedure[CenterDraws]:
        """Draw all that certificates at x are read from, whatever their eps."""

    @abstractmethod
    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for input radius eps, from draws made earlier."""

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[CenterDraws]:
        return self.drawing(x, example)

    def cases(self, eps: Any) -> list[float]:
        """The input radii, each once. Raises SettingError where one is no number of at least 0."""
        return list(dict.fromkeys(input_radii(eps)))

    def statements(self, drawn: CenterDraws, cases: list[float]) -> list[OutputCertificate]:
        return [self.read(drawn, eps) for eps in cases]
