"""Angular distance."""

from math import pi, sin

import torch
from torch import Tensor

from smoothing.metrics.base import UNIT, Metric
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Euclidean, Screen


class Angular(Metric):
    """The angle between two outputs as vectors, arccos(cosine similarity) / pi, in [0, 1]; a pseudometric (gamma = 1).

    A vector of zeros has no direction. It lies 1/2 from every other vector and 0 from itself: the least distance with
    which the triangle inequality holds, d(a, -a) = 1 <= d(a, 0) + d(0, -a).

    Computed as 2 atan2(|u - v|, |u + v|) / pi from unit vectors u, v in float64, good to 1e-15 for nearly parallel
    vectors too; the arccosine of a cosine similarity is good to 1e-8 there (Kahan 2006, section 12).
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        u, v = directions(a), directions(b)
        return _angle(torch.linalg.vector_norm(u - v, dim=1), torch.linalg.vector_norm(u + v, dim=1))

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        u, v = directions(a), directions(b)
        return _angle(*(torch.cdist(u, w, compute_mode="donot_use_mm_for_euclid_dist") for w in (v, -v)))

    def screen(self, outputs: Tensor) -> Screen:
        """By the chord: unit vectors at the angle d pi are 2 sin(d pi / 2) apart."""
        return Chord(outputs, directions)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """That of unit vectors of k numbers, absolute, and that of the norms and the angle.

        A unit vector is off by 3 u and its norm's (k/2 + 1) u. With s = |u - v|, t = |u + v| and s^2 + t^2 = 4, errors
        ds and dt turn the angle by at most sqrt(ds^2 + dt^2), so vectors that are off by e each, by 2 e. Norms of s and
        t, good to (k/2 + 3) u, turn it by s t / 2 times the difference of their errors, at most (k + 6) u of itself.
        """
        k = center.numel()
        return (k + 10) * UNIT, (k / 3 + 3) * UNIT

    def candidates(self, outputs: Tensor) -> Tensor:
        """Means of nearest halves."""
        return nearest_half_means(outputs, self)


class Chord(Euclidean):
    """|a - b| > 2 sin(radius pi / 2), of unit vectors; zeros, 1/2 from all others, are 1 and not sqrt(2) away here."""

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        return super().far(rows, columns, 2 * sin(min(radius, 1) * pi / 2))


def directions(outputs: Tensor) -> Tensor:
    """Unit vectors (n, k), float64; zeros for zeros."""
    vectors = outputs.double().flatten(1)
    size = vectors.abs().amax(dim=1, keepdim=True)  # first, so that no square over- or underflows
    vectors = torch.where(size > 0, vectors / size, 0.0)
    norm = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return torch.where(norm > 0, vectors / norm, 0.0)


def _angle(difference: Tensor, total: Tensor) -> Tensor:
    return (2 / pi * torch.atan2(difference, total)).clamp(0, 1)
