"""Hamming distance: the share of positions at which two outputs differ."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from smoothing.metrics.base import NUMBERS_AT_ONCE, UNIT, Metric


class Hamming(Metric):
    """Share of an output's numbers that differ, in [0, 1], for masks, label maps or any other numbers; gamma = 1.

    Examples:
        >>> Hamming()(torch.tensor([[1.0, 1.0, 0.0, 2.0]]), torch.tensor([[1.0, 0.0, 0.0, 3.0]]))
        tensor([0.5000], dtype=torch.float64)
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        differ = (a != b).flatten(1).double()
        return differ.sum(dim=1) / differ.shape[1]

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = a.flatten(1).double(), b.flatten(1).double()
        if all(bool(((each == 0) | (each == 1)).all()) for each in (a, b)):  # masks: count the differences of sets
            return (a.sum(dim=1)[:, None] + b.sum(dim=1) - 2 * (a @ b.T)) / a.shape[1]
        return torch.cdist(a, b, p=0) / a.shape[1]

    def _tile_side(self, shape: Sequence[int]) -> int:
        """A tile holds its outputs once, not for each pair."""
        return max(1, NUMBERS_AT_ONCE // max(1, prod(shape)))

    def candidates(self, outputs: Tensor) -> Tensor:
        """The most frequent number at each position: (1, *shape), or (0, *shape) if no output is finite."""
        finite = outputs[outputs.flatten(1).isfinite().all(dim=1)]
        return finite.mode(dim=0).values[None] if len(finite) else outputs[:0]

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds: relative 3 u, absolute 0. The count is exact, and CUDA multiplies it by a rounded inverse."""
        return 3 * UNIT, 0.0
