"""The interface of a metric: everything that a certificate needs to know about the output space."""

from abc import abstractmethod
from collections.abc import Sequence
from math import isqrt, prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.fixed import Fixed
from smoothing.metrics.checks import public, require_distances
from smoothing.metrics.screens import Screen

NUMBERS_AT_ONCE = 2**23  # bounds the memory of a tile of pairwise distances, in output numbers
UNIT = 2.0**-53  # unit roundoff of float64: the largest relative error of one operation

DISTANCE = ("_distance", "_all_distances", "__call__", "pairwise")
SHORTCUTS = {  # each is proved only for these methods of the same class
    "_all_distances": ("_distance",),
    "_tile_side": ("_distance",),
    "pairwise": ("_distance", "_all_distances"),
    "largest_distance": DISTANCE,
    "rounding": DISTANCE,
    "screen": DISTANCE,
    "beta": (*DISTANCE, "candidates", "screen"),
}
METHODS = {*SHORTCUTS, *(method for basis in SHORTCUTS.values() for method in basis)}


class Metric(Fixed):
    """A symmetric distance d with the relaxed triangle inequality d(a, c) <= gamma (d(a, b) + d(b, c)).

    A subclass implements `_distance` and sets gamma. Everything else has a default. An output that is not finite lies
    outside every ball: its distance to every output, including itself, is infinite. A NaN distance is infinite too.
    Returned distances are checked (`smoothing.metrics.checks`): their shape always, and on the first outputs whether
    they satisfy the axioms of a distance.

    Attributes:
        gamma: constant of the triangle inequality; 1 for a metric or pseudometric.
        largest: upper bound on all distances. A certified output radius of at least this is vacuous.

    Examples:
        >>> class Manhattan(Metric):
        ...     def _distance(self, a, b):
        ...         return (a.double() - b.double()).abs().flatten(1).sum(dim=1)
        >>> metric = Manhattan()
        >>> metric(torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[0.0, 0.0]]))
        tensor([1., 5.], dtype=torch.float64)
        >>> metric.pairwise(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [2.0], [float("nan")]]))
        tensor([[1., 2., inf],
                [4., 3., inf]], dtype=torch.float64)
    """

    _fixed = ("gamma", "largest")
    gamma: ClassVar[float] = 1.0
    largest: float = float("inf")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in METHODS:
            raise SettingError(f"metric: {name} belongs to the class, not to one object; define it in a subclass")
        super().__setattr__(name, value)

    def __init_subclass__(cls, **options: Any) -> None:
        """Discard inherited shortcuts that depend on a method which the subclass overrides."""
        super().__init_subclass__(**options)
        for name, basis in SHORTCUTS.items():
            if any(_depth(cls, method) < _depth(cls, name) for method in basis):
                setattr(cls, name, vars(Metric)[name])
        for name in ("__call__", "pairwise"):
            if not hasattr(method := getattr(cls, name), "unchecked"):
                setattr(cls, name, public(pairs=name == "pairwise")(method))

    @public(pairs=False)
    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances row by row: (n, *shape) and (n or 1, *shape), in either order -> (n,), float64, in [0, inf].

        Raises:
            SettingError: the arguments are not batches of comparable outputs, or the result is not a distance.
        """
        return self._distance(a, b)

    @public(pairs=True)
    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All pairwise distances: (n, *shape) and (k, *shape) -> (n, k), float64, in [0, inf].

        They are computed in square tiles. So the memory besides the result is bounded for all n, k and shapes.

        Raises:
            SettingError: as `__call__`.
        """
        side = self._tile_side(a.shape[1:])
        return torch.cat([torch.cat([self._tile(r, c) for c in b.split(side)], dim=1) for r in a.split(side)])

    def candidates(self, outputs: Tensor) -> Tensor:
        """Further candidates for the center, besides the outputs (n, *shape): (k, *shape), k = 0 by default.

        A point that is not an output may be closer to most of them. It may be the center if its median distance is at
        most the medoid's: the proof uses nothing else about the medoid.
        """
        return outputs[:0]

    def screen(self, outputs: Tensor) -> Screen | None:
        """A fast test that shows which of the finite outputs (n, *shape) are far apart; None by default.

        It makes the search for the center faster and does not change the center.
        """
        return None

    def beta(self, output: Tensor) -> float:
        """The approximation factor beta of the chosen center, for such outputs as `output`, (*shape).

        The center is the best of n outputs and their `candidates`. Its median distance to the outputs is at most beta
        times the radius of the smallest ball that contains half of them (Kumar and Goldstein 2021, theorem 3). The
        default is 2 gamma: two outputs in a ball of radius r are at most gamma (r + r) apart.
        """
        return 2 * self.gamma

    def largest_distance(self, shape: Sequence[int]) -> float:
        """Upper bound on the distance of two outputs of this shape; +inf if none is known. The default is `largest`."""
        return self.largest

    def empty(self, outputs: Tensor) -> Tensor:
        """Which outputs (n, *shape) mean that nothing was found, such as a box without area: (n,), bool."""
        return torch.zeros(len(outputs), dtype=torch.bool, device=outputs.device)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds on the rounding error of computed distances: (relative, absolute).

        For all outputs y and z, |computed d(y, z) - d(y, z)| <= relative * delta + absolute, where delta is the largest
        of d(y, z), d(center, y) and d(center, z). Certified radii are rounded up accordingly (docs/soundness.md, 5).

        The default is a guess. For each number of an output it allows two float64 roundings of the distance, and two of
        the center's largest absolute number, or of 1 if that is larger. Override it if `_distance` loses more accuracy,
        for example in float32.

        Args:
            center: (*output shape).
            dtype: of the outputs.
        """
        relative = 2 * max(4, center.numel()) * UNIT
        return relative, relative * max(1.0, float(center.double().abs().max()))

    @abstractmethod
    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances row by row: (n, *shape) and (n or 1, *shape) -> (n,).

        Results for outputs that are not finite are ignored.
        """

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """All pairwise distances within one tile: (n, *shape) and (k, *shape) -> (n, k). Override it to be faster."""
        rows = a.repeat_interleave(len(b), dim=0)
        columns = b.repeat(len(a), *[1] * (b.dim() - 1))
        distances = self._distance(rows, columns)
        require_distances(self, distances, (len(rows),), a.device)
        return distances.view(len(a), len(b))

    def _tile_side(self, shape: Sequence[int]) -> int:
        """Number of rows, and of columns, of a tile: its pairs hold at most `NUMBERS_AT_ONCE` numbers."""
        return max(1, isqrt(NUMBERS_AT_ONCE // max(1, prod(shape))))

    def _tile(self, a: Tensor, b: Tensor) -> Tensor:
        distances = self._all_distances(a, b)
        require_distances(self, distances, (len(a), len(b)), a.device)
        return distances.double()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def require_span(span: float) -> float:
    """The span: length of an interval that contains all output numbers. Raises SettingError if it is not positive."""
    if not span > 0:
        raise SettingError(f"metric.span: expected a positive number, 1 for outputs in [0, 1], got {span}")
    return span


def _depth(cls: type, name: str) -> int:
    """The position, in a class's method resolution order, of the class that defines its method `name`."""
    return next(depth for depth, ancestor in enumerate(cls.__mro__) if name in vars(ancestor))
