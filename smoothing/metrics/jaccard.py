"""Jaccard distance between axis-aligned boxes."""

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric

LEAST_AREA = 2.0**-900  # smaller areas have lost relative accuracy


class Jaccard(Metric):
    """Jaccard distance d(A, B) = 1 - area(A and B) / area(A or B) of boxes (x1, y1, x2, y2), in [0, 1]; gamma = 1.

    It is a pseudometric. A box with x2 <= x1 or y2 <= y1 is the empty set: d(empty, empty) = 0 and d(empty, A) = 1.
    Boxes are (n, 4), in any units. Areas are computed in float64. Boxes whose areas underflow (sides of 1e-136) but are
    not empty lie outside every ball.

    Raises:
        SettingError: when a distance is computed, if the outputs are not boxes.

    Examples:
        >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
        >>> Jaccard()(boxes, torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
        tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = _boxes(a), _boxes(b)
        shared = _area(torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:]))
        either = _area(a[:, :2], a[:, 2:]) + _area(b[:, :2], b[:, 2:]) - shared
        nothing = torch.where(self.empty(a) & self.empty(b), 0.0, torch.nan)
        return torch.where(either > LEAST_AREA, 1 - shared / either, nothing).clamp(0, 1)

    def candidates(self, outputs: Tensor) -> Tensor:
        """The box of the median coordinates of all boxes that are not empty: (1, 4), or (0, 4) if all are empty."""
        boxes = outputs[~self.empty(outputs) & outputs.isfinite().all(dim=1)]
        return boxes.median(dim=0, keepdim=True).values if len(boxes) else outputs[:0]

    def empty(self, outputs: Tensor) -> Tensor:
        """Boxes without area: for example, no face was found."""
        boxes = _boxes(outputs)
        return (boxes[:, 2:] <= boxes[:, :2]).any(dim=1)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds: relative u, absolute 18 u; relative 18 u and absolute 0 if the center is empty.

        The relative error of an area is at most 3 u. So that of the union's is at most 13 u and that of the ratio at
        most 17 u. The ratio is at most 1. From an empty center the distances are exactly 0 and 1, so there is no
        absolute error if all boxes are empty.
        """
        return (18 * UNIT, 0.0) if bool(self.empty(center[None])) else (UNIT, 18 * UNIT)


def _boxes(outputs: Tensor) -> Tensor:
    """The outputs in float64. Raises SettingError unless they are boxes, (n, 4)."""
    if outputs.dim() != 2 or outputs.shape[1] != 4:
        raise SettingError(f"metric: Jaccard needs boxes (x1, y1, x2, y2), (4,), got {tuple(outputs.shape[1:])}")
    return outputs.double()


def _area(corner: Tensor, opposite: Tensor) -> Tensor:
    return (opposite - corner).clamp(min=0).prod(dim=-1)
