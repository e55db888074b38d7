"""Jaccard distance between axis-aligned boxes."""

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric

LEAST_AREA = 2.0**-900  # smaller ones are no longer good to a few roundings of themselves


class Jaccard(Metric):
    """1 - area(A and B) / area(A or B) for boxes (x1, y1, x2, y2), in [0, 1]; a pseudometric (gamma = 1).

    A box with x2 <= x1 or y2 <= y1 is the empty set: d(empty, empty) = 0 and d(empty, A) = 1. Boxes
    are (n, 4), any units, float; computed in float64. Boxes that are no points but so small that their areas underflow
    (sides of 1e-136) are outside every ball.

    Raises:
        SettingError: at the first distance, where the outputs are no boxes.
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = _boxes(a), _boxes(b)
        shared = _area(torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:]))
        either = _area(a[:, :2], a[:, 2:]) + _area(b[:, :2], b[:, 2:]) - shared
        nothing = torch.where(self.empty(a) & self.empty(b), 0.0, torch.nan)
        return torch.where(either > LEAST_AREA, 1 - shared / either, nothing).clamp(0, 1)

    def candidates(self, outputs: Tensor) -> Tensor:
        """The box of the median coordinates of all boxes that are not empty."""
        boxes = outputs[~self.empty(outputs) & outputs.isfinite().all(dim=1)]
        return boxes.median(dim=0, keepdim=True).values if len(boxes) else outputs[:0]

    def empty(self, outputs: Tensor) -> Tensor:
        """Boxes of no area: no face was found, say."""
        boxes = _boxes(outputs)
        return (boxes[:, 2:] <= boxes[:, :2]).any(dim=1)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """An area is good to 3 u. Then either's is to 13 u of itself, the ratio to 17 u, and it is at most 1.

        From an empty center, empty boxes are exactly 0 away and others 1, and so is nothing lost where all are empty.
        """
        return (18 * UNIT, 0.0) if bool(self.empty(center[None])) else (UNIT, 18 * UNIT)


def _boxes(outputs: Tensor) -> Tensor:
    """The outputs in float64. Raises SettingError unless they are boxes, (n, 4)."""
    if outputs.dim() != 2 or outputs.shape[1] != 4:
        raise SettingError(f"metric: Jaccard needs boxes (x1, y1, x2, y2), (4,), got {tuple(outputs.shape[1:])}")
    return outputs.double()


def _area(corner: Tensor, opposite: Tensor) -> Tensor:
    return (opposite - corner).clamp(min=0).prod(dim=-1)
