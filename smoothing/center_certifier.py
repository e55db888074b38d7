"""The base class of center smoothing's certifiers: one set of draws serves every input radius."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from smoothing.arguments import input_radii
from smoothing.center_guarantee import CenterDraws, OutputCertificate
from smoothing.certifier import Certifier
from smoothing.metrics import Metric
from smoothing.sampling import Procedure
from smoothing.smoothed import Smoothed


class CenterCertifier(Smoothed, Certifier):
    """A smoothed function with outputs in a metric space. Draws are stored, and each input radius has a row.

    Attributes:
        metric: distance in the output space.
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("index", "eps_in", "eps_out", "smoothing_error", "center_radius", "distance_quantile", "n", "m", "status"),
        *("seconds", "reason", "order_statistic", "failure_probability", "vacuous", "not_finite", "empty"),
    )
    shown = ("index", "eps_in", "eps_out", "smoothing_error", "status", "failure_probability", "seconds")
    younger: ClassVar[tuple[str, ...]] = ("empty",)
    case = "eps_in"
    needs_labels = False
    draws = CenterDraws

    metric: Metric

    @abstractmethod
    def drawing(self, x: Tensor, example: int) -> Procedure[CenterDraws]:
        """Draw everything that certificates at x need, for every eps."""

    @abstractmethod
    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for input radius eps, from earlier draws."""

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[CenterDraws]:
        return self.drawing(x, example)

    def cases(self, eps: Any) -> list[float]:
        """The input radii without repetition. Raises SettingError if one is not a number of at least 0."""
        return list(dict.fromkeys(input_radii(eps)))

    def statements(self, drawn: CenterDraws, cases: list[float]) -> list[OutputCertificate]:
        return [self.read(drawn, eps) for eps in cases]
