"""Jaccard distance between axis-aligned boxes."""

import torch
from torch import Tensor

from smoothing.metrics.base import Metric


class Jaccard(Metric):
    """1 - area(A and B) / area(A or B) for boxes (x1, y1, x2, y2), in [0, 1]; a pseudometric (gamma = 1).

    A box with x2 <= x1 or y2 <= y1 is the empty set: d(empty, empty) = 0 and d(empty, A) = 1. Boxes
    are (n, 4), any units, float; computed in float64.
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = a.double(), b.double()
        shared = _area(torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:]))
        either = _area(a[..., :2], a[..., 2:]) + _area(b[..., :2], b[..., 2:]) - shared
        return torch.where(either > 0, 1 - shared / either, 0.0).clamp(0, 1)

    def candidates(self, outputs: Tensor) -> Tensor:
        """The box of the median coordinates of all boxes that are not empty."""
        boxes = outputs[_area(outputs[:, :2], outputs[:, 2:]) > 0]
        return boxes.median(dim=0, keepdim=True).values if len(boxes) else outputs[:0]


def _area(corner: Tensor, opposite: Tensor) -> Tensor:
    return (opposite - corner).clamp(min=0).prod(dim=-1)
