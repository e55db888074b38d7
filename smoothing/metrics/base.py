"""What depends on the output space alone: a distance and the constant of its triangle inequality."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isqrt, prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.screens import Screen

NUMBERS_AT_ONCE = 2**23  # bounds the memory of a tile of pairwise distances, in numbers of the outputs


class Metric(ABC):
    """A symmetric distance with d(a, c) <= gamma (d(a, b) + d(b, c)).

    Subclasses write `_distance`; the rest is done here. An output that is not finite lies outside every ball: its
    distance to anything, itself included, is infinite. Those of this package compute in float64, from differences:
    their rounding errors are relative ones, which certified radii are rounded up for (`center_guarantee.SUM_MARGIN`).
    """

    gamma: ClassVar[float] = 1.0
    largest: float = float("inf")  # no two outputs are farther apart: a certified radius from here up says nothing

    def __init_subclass__(cls, **options: Any) -> None:
        """Take nothing over that was derived from a parent's distance where a class has one of its own."""
        super().__init_subclass__(**options)
        if "_distance" in vars(cls):
            for name in ("_all_distances", "_tile_side", "beta", "largest_distance", "screen"):
                if name not in vars(cls):
                    setattr(cls, name, vars(Metric)[name])

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances row by row: (n, *shape) and (n, *shape) or (1, *shape) -> (n,), float64, in [0, inf]."""
        self._require_one_shape(a, b)
        return _outside_if_not_finite(self._distance(a, b), _finite(a) & _finite(b))

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances: (n, *shape) and (k, *shape) -> (n, k), float64, in [0, inf].

        Done in square tiles, so that the memory beside the answer's is bounded whatever n, k and the shape.
        """
        self._require_one_shape(a, b)
        side = self._tile_side(a.shape[1:])
        return torch.cat([torch.cat([self._tile(r, c) for c in b.split(side)], dim=1) for r in a.split(side)])

    def candidates(self, outputs: Tensor) -> Tensor:
        """Centers to consider beside the outputs (n, *shape) themselves: (k, *shape), k = 0 by default.

        A point that is no output may lie closer to most of them. It serves as a center where its median distance is
        no larger than the medoid's: nothing else of the medoid is used in the proof.
        """
        return outputs[:0]

    def screen(self, outputs: Tensor) -> Screen | None:
        """What tells, faster than a distance, which of finite outputs (n, *shape) are far apart; None by default.

        The center is the same with it; it is only found sooner.
        """
        return None

    def beta(self, output: Tensor) -> float:
        """How far the best of n outputs and their candidates may be from the best center of all, for such outputs.

        Its median distance to the outputs is at most beta times the radius of the smallest ball that holds half of
        them. 2 gamma for the medoid: within that ball, any two outputs are at most gamma (r + r) apart.
        """
        return 2 * self.gamma

    def largest_distance(self, shape: Sequence[int]) -> float:
        """No two outputs of this shape are farther apart: `largest`, or what else is known; +inf if nothing is."""
        return self.largest

    @abstractmethod
    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (n,) of finite outputs, (n, *shape) and (n or 1, *shape); what it gives for others is unused."""

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """As `pairwise`, for finite outputs and n, k of a tile; written anew where that is faster."""
        rows = a.repeat_interleave(len(b), dim=0)
        columns = b.repeat(len(a), *[1] * (b.dim() - 1))
        return self._distance(rows, columns).view(len(a), len(b))

    def _tile_side(self, shape: Sequence[int]) -> int:
        """Rows and columns of a tile: all its pairs together hold so many numbers."""
        return max(1, isqrt(NUMBERS_AT_ONCE // max(1, prod(shape))))

    def _tile(self, a: Tensor, b: Tensor) -> Tensor:
        return _outside_if_not_finite(self._all_distances(a, b), _finite(a)[:, None] & _finite(b))

    def _require_one_shape(self, a: Tensor, b: Tensor) -> None:
        if a.shape[1:] != b.shape[1:]:
            raise ValueError(f"{self}: outputs of different shapes {tuple(a.shape[1:])} and {tuple(b.shape[1:])}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def require_span(span: float) -> float:
    """The length of an interval that holds all numbers of the outputs. Raises SettingError unless it is positive."""
    if not span > 0:
        raise SettingError(f"metric.span: expected a positive number, 1 for outputs in [0, 1], got {span}")
    return span


def _finite(outputs: Tensor) -> Tensor:
    return outputs.isfinite().flatten(1).all(dim=1)


def _outside_if_not_finite(distance: Tensor, finite: Tensor) -> Tensor:
    distance = distance.double()
    return torch.where(finite & ~distance.isnan(), distance, torch.inf)
