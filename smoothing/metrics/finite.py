"""Distances between the points of a finite set."""

from collections.abc import Sequence

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import Metric


class FiniteSpace(Metric):
    """A finite set of points 0, ..., k - 1 with a table of distances, such as classes in a hierarchy.

    d(a, b) = distances[a][b]. The center may be any point of the set, so all k points are candidates. They include the
    center of the smallest ball that contains half of the outputs. So the best candidate's median distance is at most
    that ball's radius: beta = 1 and eps_out = 2 gamma R_hat, instead of 3 R_hat for gamma = 1 (Kumar and Goldstein
    2021, section 3.1, with beta = 1).

    Outputs have shape (1,): one whole number, in any dtype.

    Args:
        distances: k rows of k numbers: symmetric, at least 0, with zeros on the diagonal.

    Attributes:
        gamma: the least constant with d(a, c) <= gamma (d(a, b) + d(b, c)) for all points, at least 1.

    Raises:
        SettingError: the table is not such a table, or d(a, b) = d(b, c) = 0 and d(a, c) > 0 for some points. When a
            distance is computed: an output is not a point of the set.

    Examples:
        >>> metric = FiniteSpace([[0, 1, 4], [1, 0, 1], [4, 1, 0]])
        >>> metric(torch.tensor([[0], [1]]), torch.tensor([[2], [2]]))
        tensor([4., 1.], dtype=torch.float64)
        >>> round(metric.gamma, 4)  # d(0, 2) = 4 = 2 (d(0, 1) + d(1, 2))
        2.0
    """

    def __init__(self, distances: Sequence[Sequence[float]]) -> None:
        table = torch.as_tensor(distances, dtype=torch.float64).clone()  # the caller may change the numbers
        if table.dim() != 2 or table.shape[0] != table.shape[1] or not len(table):
            raise SettingError(f"metric.distances: expected k rows of k numbers, got shape {tuple(table.shape)}")
        if not (table.isfinite().all() and (table >= 0).all() and torch.equal(table, table.T)):
            raise SettingError("metric.distances: expected a symmetric table of numbers of at least 0")
        if table.diagonal().any():
            raise SettingError("metric.distances: expected zeros on the diagonal, d(a, a) = 0")
        self.distances = self._placed = table
        self.largest = float(table.max())
        self.gamma = _triangle_constant(table)  # type: ignore[misc]

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        if self._placed.device != a.device:
            self._placed = self.distances.to(a.device)  # once, because the host waits for the device to copy it
        return self._placed[self._points(a), self._points(b)]

    def candidates(self, outputs: Tensor) -> Tensor:
        """All points of the set."""
        points = torch.arange(len(self.distances), dtype=outputs.dtype, device=outputs.device)
        return points.view(-1, *outputs.shape[1:])

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """No rounding errors: distances are read from the table."""
        return 0.0, 0.0

    def beta(self, output: Tensor) -> float:
        """The factor beta = 1: all points of the set are candidates."""
        return 1.0

    def _points(self, outputs: Tensor) -> Tensor:
        k = len(self.distances)
        points = outputs.flatten(1)
        if points.shape[1] != 1:
            raise SettingError(f"metric: FiniteSpace needs outputs (1,), one point, got {tuple(outputs.shape[1:])}")
        # Outputs that are not finite are infinitely far from all others, whatever point stands for them here.
        finite = points.nan_to_num(0.0, 0.0, 0.0) if points.is_floating_point() else points
        if bool(((finite != finite.round()) | (finite < 0) | (finite >= k)).any()):
            raise SettingError(f"metric: FiniteSpace needs whole numbers from 0 to {k - 1}, got another output")
        return finite[:, 0].long()

    def __repr__(self) -> str:
        return f"FiniteSpace({len(self.distances)} points)"


def _triangle_constant(table: Tensor) -> float:
    """The least gamma >= 1 with d(a, c) <= gamma (d(a, b) + d(b, c)), rounded up. Raises SettingError if none is."""
    worst = 1.0
    for b in range(len(table)):
        detour = table[:, b, None] + table[None, b]
        if bool(((detour == 0) & (table > 0)).any()):
            raise SettingError(
                f"metric.distances: two points at distance 0 from point {b} have a positive distance: no gamma exists"
            )
        ratio = torch.where(detour > 0, table / detour, 0.0).max()
        worst = max(worst, float(ratio))
    return worst if worst == 1.0 else worst * (1 + 2.0**-50)
