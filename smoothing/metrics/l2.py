"""Euclidean distance."""

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor

from smoothing.metrics.base import UNIT, Metric, require_span
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Euclidean, Screen


class L2(Metric):
    """Euclidean distance d(a, b) = |a - b|_2 of outputs of any shape; a metric (gamma = 1).

    It is computed in float64 from differences. The matrix-product form |a|^2 + |b|^2 - 2 a.b loses all accuracy for
    close outputs; it is only used to show which outputs are far apart.

    Args:
        largest: upper bound on all distances. It is only used to flag vacuous radii.
        span: length of an interval that contains all output numbers, 1 for outputs in [0, 1]. So outputs of k numbers
            have distances of at most span sqrt(k). It is only used to flag vacuous radii.

    Raises:
        SettingError: span is not positive.

    Examples:
        >>> metric = L2(span=1)
        >>> metric(torch.tensor([[0.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 0.0]]))
        tensor([0.0000, 1.0000], dtype=torch.float64)
        >>> metric.largest_distance((1, 28, 28))  # sqrt(784)
        28.0
    """

    def __init__(self, largest: float = float("inf"), span: float = float("inf")) -> None:
        self.largest, self.span = largest, require_span(span)

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.vector_norm((a.double() - b.double()).flatten(1), dim=1)

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = a.double().flatten(1), b.double().flatten(1)
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")

    def screen(self, outputs: Tensor) -> Screen:
        return Euclidean(outputs, lambda part: part.double().flatten(1))

    def candidates(self, outputs: Tensor) -> Tensor:
        """Means of nearest halves; for outputs of one number, the midpoint of the shortest half."""
        if outputs[:1].numel() == 1:
            return _middle_of_shortest_half(outputs)
        return nearest_half_means(outputs, self)

    def beta(self, output: Tensor) -> float:
        """The factor beta: 1 for outputs of one number, 2 for others.

        The smallest ball that contains half of n numbers is the shortest interval [a, b] with ceil(n/2) of them. Its
        ends can be chosen among the outputs. Its midpoint is a candidate with the median distance (b - a) / 2, the
        radius of the smallest ball. In float64, the midpoint of two float32 numbers is exact up to 2^-52 of their
        distance. That of two float64 numbers is not, so they keep beta = 2.
        """
        return 1.0 if output.numel() == 1 and output.dtype != torch.float64 else 2.0

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for a sum of k squares and its root. For float64 outputs, squares below 2^-1074 are lost.

        The relative error of each difference is at most u, that of its square 3 u, and the sum adds (k - 1) u. The root
        halves them.
        """
        k = center.numel()
        return (k / 2 + 3) * UNIT, sqrt(k) * 2.0**-537 if dtype == torch.float64 else 0.0

    def largest_distance(self, shape: Sequence[int]) -> float:
        return min(self.largest, self.span * sqrt(prod(shape)))


def _middle_of_shortest_half(outputs: Tensor) -> Tensor:
    """The midpoint of the shortest interval with ceil(n/2) of n outputs of one number: (1, *shape), in float64."""
    half = (len(outputs) + 1) // 2
    numbers = outputs[outputs.isfinite().flatten(1).all(dim=1)].flatten().double().sort().values
    if len(numbers) < half:
        return outputs[:0]
    low, high = numbers[: len(numbers) - half + 1], numbers[half - 1 :]
    best = int((high - low).argmin())
    return (low[best] + (high[best] - low[best]) / 2).view(1, *outputs.shape[1:])
