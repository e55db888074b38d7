"""What depends on the output space alone: a distance and the constant of its triangle inequality."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Metric(ABC):
    """A symmetric distance with d(a, c) <= gamma (d(a, b) + d(b, c)).

    Subclasses write `_distance`; the rest is done here. An output that is not finite lies outside every ball: its
    distance to anything, itself included, is infinite.
    """

    gamma: ClassVar[float] = 1.0
    largest: float = float("inf")  # no two outputs are farther apart: a certified radius from here up says nothing

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances row by row: (n, *shape) and (n, *shape) or (1, *shape) -> (n,), float64, in [0, inf]."""
        if a.shape[1:] != b.shape[1:]:
            raise ValueError(f"{self}: outputs of different shapes {tuple(a.shape[1:])} and {tuple(b.shape[1:])}")
        finite = _finite(a) & _finite(b)
        distance = self._distance(a, b).double()
        return torch.where(finite & ~distance.isnan(), distance, torch.inf)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances: (n, *shape) and (k, *shape) -> (n, k), float64, in [0, inf]. Memory is the caller's care."""
        rows = a.repeat_interleave(len(b), dim=0)
        columns = b.repeat(len(a), *[1] * (b.dim() - 1))
        return self(rows, columns).view(len(a), len(b))

    def candidates(self, outputs: Tensor) -> Tensor:
        """Centers to consider beside the outputs (n, *shape) themselves: (k, *shape), k = 0 by default.

        A point that is no output may lie closer to most of them. It serves as a center where its median distance is
        no larger than the medoid's: nothing else of the medoid is used in the proof.
        """
        return outputs[:0]

    @abstractmethod
    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (n,) of finite outputs, (n, *shape) and (n or 1, *shape); what it gives for others is unused."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _finite(outputs: Tensor) -> Tensor:
    return outputs.isfinite().flatten(1).all(dim=1)
