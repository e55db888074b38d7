"""Asymmetric distances made symmetric (Kumar and Goldstein 2021, section 4)."""

from abc import abstractmethod
from math import sqrt

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric


class Symmetrised(Metric):
    """The sum s(a, b) = d(a, b) + d(b, a), or the maximum s(a, b) = max(d(a, b), d(b, a)), of an asymmetric distance.

    A subclass implements d as `_one_way`, with d(a, a) = 0, and sets gamma so that
    d(a, c) <= gamma (d(a, b) + d(b, c)). The same gamma holds for s. For the sum, s(a, c) = d(a, c) + d(c, a) is at
    most gamma (d(a, b) + d(b, c) + d(c, b) + d(b, a)) = gamma (s(a, b) + s(b, c)). For the maximum, each direction is
    at most gamma (s(a, b) + s(b, c)).

    Args:
        by: "sum" or "max".

    Raises:
        SettingError: `by` is neither.

    Examples:
        >>> class Excess(Symmetrised):
        ...     def _one_way(self, a, b):
        ...         return (a - b).clamp(min=0).double().sum(dim=1)
        >>> a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 1.0]])
        >>> Excess(by="sum")(a, b), Excess(by="max")(a, b)
        (tensor([3.], dtype=torch.float64), tensor([2.], dtype=torch.float64))
    """

    def __init__(self, by: str = "max") -> None:
        if by not in ("sum", "max"):
            raise SettingError(f"metric.by: expected sum or max, got {by}")
        self.by = by

    @abstractmethod
    def _one_way(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances from a to b, row by row, for finite outputs: (n, *shape) and (n, *shape) -> (n,)."""

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(a, b)
        there, back = self._one_way(a, b), self._one_way(b, a)
        return there + back if self.by == "sum" else torch.maximum(there, back)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(by={self.by!r})"


class Hausdorff(Symmetrised):
    """Hausdorff distance between sets of points, outputs (points, coordinates); a pseudometric (gamma = 1).

    d(A, B) = max over a in A of min over b in B of |a - b|_2, made symmetric by the maximum or the sum. If every point
    of A is within r of B, and every point of B is within s of C, then every point of A is within r + s of C. So
    gamma = 1. The order of the points does not matter, so keypoints and polygons may be in any order.

    Args:
        by: "max", the usual definition, or "sum".

    Examples:
        >>> a, b = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]]), torch.tensor([[[0.0, 0.0], [3.0, 0.0]]])
        >>> Hausdorff()(a, b), Hausdorff(by="sum")(a, b)
        (tensor([2.], dtype=torch.float64), tensor([3.], dtype=torch.float64))
    """

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for a Euclidean distance in c coordinates, see `L2`, and a sum. Minima and maxima are exact."""
        c = center.shape[-1]
        return (c / 2 + 5) * UNIT, sqrt(c) * 2.0**-536 if dtype == torch.float64 else 0.0

    def _one_way(self, a: Tensor, b: Tensor) -> Tensor:
        if a.dim() != 3:
            raise SettingError(f"metric: Hausdorff needs outputs (points, coordinates), got {tuple(a.shape[1:])}")
        all_pairs = torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")
        return all_pairs.amin(dim=2).amax(dim=1)
