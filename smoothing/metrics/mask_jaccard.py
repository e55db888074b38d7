"""Jaccard distance between sets of pixels."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import NUMBERS_AT_ONCE, UNIT, Metric


class MaskJaccard(Metric):
    """Jaccard distance d(A, B) = 1 - |A and B| / |A or B| of masks, in [0, 1]: 1 minus their IoU; gamma = 1.

    A mask is a set of pixels, any shape, with 1 or True inside and 0 or False outside. d(empty, empty) = 0 and
    d(empty, A) = 1. It is a metric on sets (Levandowsky and Winter 1971).

    Raises:
        SettingError: when a distance is computed, if a finite output has other numbers than 0 and 1.

    Examples:
        >>> masks = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> MaskJaccard()(masks, torch.tensor([[1.0, 1.0, 0.0]]))
        tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = _sets(a), _sets(b)
        return _from_counts((a * b).sum(dim=1), a.sum(dim=1), b.sum(dim=1))

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = _sets(a), _sets(b)
        return _from_counts(a @ b.T, a.sum(dim=1)[:, None], b.sum(dim=1))

    def _tile_side(self, shape: Sequence[int]) -> int:
        """A tile holds its masks once, not for each pair."""
        return max(1, NUMBERS_AT_ONCE // max(1, prod(shape)))

    def candidates(self, outputs: Tensor) -> Tensor:
        """The pixels that are in more than half of the masks: (1, *shape), or (0, *shape) if there is no mask."""
        masks = outputs[outputs.flatten(1).isfinite().all(dim=1)]
        return (masks.double().mean(dim=0, keepdim=True) > 0.5).to(outputs.dtype) if len(masks) else outputs[:0]

    def empty(self, outputs: Tensor) -> Tensor:
        """Masks without a pixel: nothing was found."""
        return (outputs == 0).flatten(1).all(dim=1)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds: relative 0, absolute 2 u. Counts are exact; the ratio, at most 1, and 1 minus it round once each."""
        return 0.0, 2 * UNIT


def _sets(outputs: Tensor) -> Tensor:
    """Masks as rows of 0 and 1, float64. Rows that are not finite become NaN. Raises SettingError at other numbers."""
    rows = outputs.flatten(1).double()
    odd = (rows != 0) & (rows != 1)
    if bool((odd & rows.isfinite()).any()):
        value = float(rows[odd & rows.isfinite()][0])
        raise SettingError(f"metric: MaskJaccard needs masks of 0 and 1, got {value:g}; threshold them in the model")
    return rows


def _from_counts(shared: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Distances from numbers of pixels, which are exact in float64."""
    either = first + second - shared
    return torch.where(either == 0, 0.0, 1 - shared / either)
