"""Cosine distance."""

from math import sqrt

import torch
from torch import Tensor

from smoothing.metrics.angular import directions
from smoothing.metrics.base import UNIT, Metric
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Euclidean, Screen


class Cosine(Metric):
    """Cosine distance d(a, b) = 1 - a.b / (|a| |b|) between outputs as vectors, in [0, 2]; gamma = 2.

    For unit vectors u, v it is |u - v|^2 / 2, and |u - w|^2 <= (|u - v| + |v - w|)^2 <= 2 (|u - v|^2 + |v - w|^2)
    (Kumar and Goldstein 2021, section 4). So eps_out is 10 R_hat, but only 3 R_hat for the angular distance of the same
    vectors. Prefer `Angular` unless a task is stated in cosine distances.

    A vector of zeros has no direction and stays 0. So its distance is 1/2 from every other vector and 0 from itself.
    The inequality holds for it too.

    Examples:
        >>> Cosine()(torch.tensor([[1.0, 0.0], [0.0, 3.0], [-2.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
        tensor([0., 1., 2.], dtype=torch.float64)
    """

    gamma = 2.0
    largest = 2.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (directions(a) - directions(b)).square().sum(dim=1) / 2

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        chords = torch.cdist(directions(a), directions(b), compute_mode="donot_use_mm_for_euclid_dist")
        return chords.square() / 2

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for vectors of k numbers: an absolute one from the unit vectors, a relative one from a sum of squares.

        The error of each unit vector is at most (k/2 + 4) u, so that of u - v is at most (k + 8) u. Since |u - v| <= 2,
        the error of |u - v|^2 / 2 is at most 2 (k + 8) u. The sum and its terms have a relative error of at most
        (k + 2) u.
        """
        k = center.numel()
        return (k + 4) * UNIT, 2 * (k + 10) * UNIT

    def screen(self, outputs: Tensor) -> Screen:
        """Compare chords |u - v|."""
        return SquaredChord(outputs, directions)

    def candidates(self, outputs: Tensor) -> Tensor:
        """Means of nearest halves (`halves.nearest_half_means`)."""
        return nearest_half_means(outputs, self)


class SquaredChord(Euclidean):
    """The screen |u - v|^2 / 2 > radius."""

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        return super().far(rows, columns, sqrt(2 * radius))
