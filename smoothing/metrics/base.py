"""What depends on the output space alone: a distance and the constant of its triangle inequality."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isqrt, prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.checks import public, require_distances
from smoothing.metrics.screens import Screen

NUMBERS_AT_ONCE = 2**23  # bounds the memory of a tile of pairwise distances, in numbers of the outputs
UNIT = 2.0**-53  # unit roundoff of float64: the relative error of one operation

DISTANCE = ("_distance", "_all_distances", "__call__", "pairwise")
SHORTCUTS = {  # what each follows from; proved for those methods alone
    "_all_distances": ("_distance",),
    "_tile_side": ("_distance",),
    "largest_distance": DISTANCE,
    "rounding": DISTANCE,
    "screen": DISTANCE,
    "beta": (*DISTANCE, "candidates", "screen"),
}


class Metric(ABC):
    """A symmetric distance with d(a, c) <= gamma (d(a, b) + d(b, c)).

    Subclasses write `_distance`; the rest is done here. An output that is not finite lies outside every ball: its
    distance to anything, itself included, is infinite. So is a distance that is no number. What a subclass returns is
    checked, and on the first outputs whether it is a distance at all (`smoothing.metrics.checks`).
    """

    gamma: ClassVar[float] = 1.0
    largest: float = float("inf")  # no two outputs are farther apart: a certified radius from here up says nothing

    def __init_subclass__(cls, **options: Any) -> None:
        """Discard inherited shortcuts that rest on a method which the subclass overrides."""
        super().__init_subclass__(**options)
        for name, basis in SHORTCUTS.items():
            if any(_depth(cls, method) < _depth(cls, name) for method in basis):
                setattr(cls, name, vars(Metric)[name])
        for name in ("__call__", "pairwise"):
            if not hasattr(method := getattr(cls, name), "unchecked"):
                setattr(cls, name, public(pairs=name == "pairwise")(method))

    @public(pairs=False)
    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances row by row: (n, *shape) and (n, *shape), or (1, *shape) for one -> (n,), float64, in [0, inf]."""
        return self._distance(a, b)

    @public(pairs=True)
    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances: (n, *shape) and (k, *shape) -> (n, k), float64, in [0, inf].

        Done in square tiles, so that the memory beside the answer's is bounded whatever n, k and the shape.
        """
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

    def empty(self, outputs: Tensor) -> Tensor:
        """Which outputs (n, *shape) say that nothing was found, such as a box of no area: (n,), bool."""
        return torch.zeros(len(outputs), dtype=torch.bool, device=outputs.device)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """How far computed distances are from exact ones: a relative and an absolute error.

        For all outputs y and z, |computed d(y, z) - d(y, z)| <= relative * delta + absolute, where delta is the largest
        of d(y, z), d(center, y) and d(center, z). Certified radii are rounded up for it (docs/soundness.md, 5).

        This default is a guess: for each number of an output two float64 roundings of the distance, and two of the
        center's largest number (of 1 if that is larger). Override it where more is lost, as in float32.

        Args:
            center: (*output shape).
            dtype: of the outputs.
        """
        relative = 2 * max(4, center.numel()) * UNIT
        return relative, relative * max(1.0, float(center.double().abs().max()))

    @abstractmethod
    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (n,) of finite outputs, (n, *shape) and (n or 1, *shape); what it gives for others is unused."""

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """As `pairwise`, for finite outputs and n, k of a tile; written anew where that is faster."""
        rows = a.repeat_interleave(len(b), dim=0)
        columns = b.repeat(len(a), *[1] * (b.dim() - 1))
        distances = self._distance(rows, columns)
        require_distances(self, distances, (len(rows),), a.device)
        return distances.view(len(a), len(b))

    def _tile_side(self, shape: Sequence[int]) -> int:
        """Rows and columns of a tile: all its pairs together hold so many numbers."""
        return max(1, isqrt(NUMBERS_AT_ONCE // max(1, prod(shape))))

    def _tile(self, a: Tensor, b: Tensor) -> Tensor:
        distances = self._all_distances(a, b)
        require_distances(self, distances, (len(a), len(b)), a.device)
        return distances.double()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def require_span(span: float) -> float:
    """The length of an interval that holds all numbers of the outputs. Raises SettingError unless it is positive."""
    if not span > 0:
        raise SettingError(f"metric.span: expected a positive number, 1 for outputs in [0, 1], got {span}")
    return span


def _depth(cls: type, name: str) -> int:
    """How far up a class's ancestors the method is defined that it has."""
    return next(depth for depth, ancestor in enumerate(cls.__mro__) if name in vars(ancestor))
