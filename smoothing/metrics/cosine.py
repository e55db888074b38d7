"""Cosine distance."""

from math import sqrt

import torch
from torch import Tensor

from smoothing.metrics.angular import directions
from smoothing.metrics.base import UNIT, Metric
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Euclidean, Screen


class Cosine(Metric):
    """1 - cosine similarity of two outputs as vectors, in [0, 2]; gamma = 2 (Kumar and Goldstein 2021, section 4).

    For unit vectors u, v it is |u - v|^2 / 2, half a squared distance, and
    |u - w|^2 <= (|u - v| + |v - w|)^2 <= 2 (|u - v|^2 + |v - w|^2). So eps_out is 10 distances, where the angular
    distance, of the same two vectors, takes 3: prefer `Angular` unless a task is stated in cosine distances.

    A vector of zeros has no direction. It stays 0 in place of a unit vector, so it lies 1/2 from every other vector and
    0 from itself; the inequality holds for it, too.
    """

    gamma = 2.0
    largest = 2.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (directions(a) - directions(b)).square().sum(dim=1) / 2

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        chords = torch.cdist(directions(a), directions(b), compute_mode="donot_use_mm_for_euclid_dist")
        return chords.square() / 2

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """That of unit vectors of k numbers, absolute, and that of a sum of squares.

        Each unit vector is off by at most (k/2 + 4) u, so u - v by (k + 8) u, and |u - v|^2 / 2 by 2 (k + 8) u, as
        |u - v| is at most 2. The sum and its terms are off by (k + 2) u of themselves.
        """
        k = center.numel()
        return (k + 4) * UNIT, 2 * (k + 10) * UNIT

    def screen(self, outputs: Tensor) -> Screen:
        """By the chord |u - v|."""
        return SquaredChord(outputs, directions)

    def candidates(self, outputs: Tensor) -> Tensor:
        """Means of nearest halves."""
        return nearest_half_means(outputs, self)


class SquaredChord(Euclidean):
    """|u - v|^2 / 2 > radius."""

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        return super().far(rows, columns, sqrt(2 * radius))
