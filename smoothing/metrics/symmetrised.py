"""Distances that depend on their direction, made symmetric (Kumar and Goldstein 2021, section 4)."""

from abc import abstractmethod
from math import sqrt

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric


class Symmetrised(Metric):
    """The sum or the larger of the distances in both directions.

    Subclasses write `_one_way`, with d(a, a) = 0, and set gamma, with d(a, c) <= gamma (d(a, b) + d(b, c)) for it. Then
    gamma serves the symmetric distance s, too. For the sum, s(a, c) = d(a, c) + d(c, a) is at most
    gamma (d(a, b) + d(b, c) + d(c, b) + d(b, a)) = gamma (s(a, b) + s(b, c)). For the maximum, each direction is at
    most gamma (s(a, b) + s(b, c)).

    Args:
        by: "sum" or "max".

    Raises:
        SettingError: another word.
    """

    def __init__(self, by: str = "max") -> None:
        if by not in ("sum", "max"):
            raise SettingError(f"metric.by: expected sum or max, got {by}")
        self.by = by

    @abstractmethod
    def _one_way(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances from a to b, (n,), of finite outputs (n, *shape) and (n, *shape)."""

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(a, b)
        there, back = self._one_way(a, b), self._one_way(b, a)
        return there + back if self.by == "sum" else torch.maximum(there, back)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(by={self.by!r})"


class Hausdorff(Symmetrised):
    """Hausdorff distance between sets of points, outputs (points, coordinates); a pseudometric (gamma = 1).

    One way it is the largest distance of a point of a from the nearest point of b. If every point of a lies within r of
    b, and every point of b within s of c, then every point of a lies within r + s of c: gamma = 1. The order of the
    points plays no part, so keypoints and polygons may come in any.
    """

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """That of one Euclidean distance in c coordinates, see `L2`, and of a sum: minima and maxima round nothing."""
        c = center.shape[-1]
        return (c / 2 + 5) * UNIT, sqrt(c) * 2.0**-536 if dtype == torch.float64 else 0.0

    def _one_way(self, a: Tensor, b: Tensor) -> Tensor:
        if a.dim() != 3:
            raise SettingError(f"metric: Hausdorff needs outputs (points, coordinates), got {tuple(a.shape[1:])}")
        all_pairs = torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")
        return all_pairs.amin(dim=2).amax(dim=1)
