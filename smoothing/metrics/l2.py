"""Euclidean distance."""

import torch
from torch import Tensor

from smoothing.metrics.base import Metric


class L2(Metric):
    """Euclidean norm of the difference of two outputs of any shape; a metric (gamma = 1).

    Args:
        largest: no two outputs are farther apart; sqrt(k) for k numbers in [0, 1]. Only flags vacuous radii.

    Computed in float64 from differences: the matrix-product form |a|^2 + |b|^2 - 2 a.b is useless for close outputs.
    """

    def __init__(self, largest: float = float("inf")) -> None:
        self.largest = largest

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.vector_norm((a.double() - b.double()).flatten(1), dim=1)
