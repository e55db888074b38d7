"""Angular distance."""

from math import pi, sin

import torch
from torch import Tensor

from smoothing.metrics.base import Metric
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
