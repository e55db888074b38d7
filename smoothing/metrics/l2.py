"""Euclidean distance."""

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor

from smoothing.metrics.base import UNIT, Metric, require_span
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Euclidean, Screen


class L2(Metric):
    """Euclidean norm of the difference of two outputs of any shape; a metric (gamma = 1).

    Args:
        largest: no two outputs are farther apart. Only flags vacuous radii.
        span: the outputs' numbers lie in an interval of this length, so that no two outputs of k numbers are farther
            apart than span sqrt(k); 1 for outputs in [0, 1]. Only flags vacuous radii.

    Computed in float64 from differences: the matrix-product form |a|^2 + |b|^2 - 2 a.b is useless for close outputs.
    It serves to tell which ones are far apart.
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
        """Means of nearest halves; of outputs of one number, the midpoint of the shortest half."""
        if outputs[:1].numel() == 1:
            return _middle_of_shortest_half(outputs)
        return nearest_half_means(outputs, self)

    def beta(self, output: Tensor) -> float:
        """1 for outputs of one number, 2 for others.

        The smallest ball that holds half of n numbers is the shortest interval [a, b] with ceil(n/2) of them. Its
        ends may be taken to be outputs, and its midpoint is a candidate, whose median distance is (b - a) / 2: the
        radius of the smallest ball itself. The midpoint of two numbers of float32 or less is exact in float64 up to
        2^-52 of their distance (unlike that of two of float64, which therefore keep beta = 2).
        """
        return 1.0 if output.numel() == 1 and output.dtype != torch.float64 else 2.0

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """A sum of k squares and its root; of float64 outputs, squares below 2^-1074 are lost.

        Each difference is off by u of itself, its square by 3 u, the sum by (k - 1) u more, of which the root halves.
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
