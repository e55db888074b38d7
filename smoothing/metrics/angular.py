"""Angular distance."""

from math import pi, sin

import torch
from torch import Tensor

from smoothing.metrics.base import UNIT, Metric
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Euclidean, Screen


class Angular(Metric):
    """Angular distance d(a, b) = arccos(a.b / (|a| |b|)) / pi between outputs as vectors, in [0, 1]; gamma = 1.

    It is a pseudometric. Outputs may have any shape. A vector of zeros has no direction: its distance is 1/2 from every
    other vector and 0 from itself. That is the least distance for which the triangle inequality holds,
    d(a, -a) = 1 <= d(a, 0) + d(0, -a).

    It is computed as 2 atan2(|u - v|, |u + v|) / pi from unit vectors u, v in float64. The error is about 1e-15, for
    nearly parallel vectors too, where the arccosine of a cosine similarity has an error of 1e-8 (Kahan 2006,
    section 12).

    Examples:
        >>> Angular()(torch.tensor([[1.0, 0.0], [1.0, 1.0], [-2.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
        tensor([0.0000, 0.2500, 1.0000], dtype=torch.float64)
    """

    largest = 1.0

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        u, v = directions(a), directions(b)
        return _angle(torch.linalg.vector_norm(u - v, dim=1), torch.linalg.vector_norm(u + v, dim=1))

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        u, v = directions(a), directions(b)
        return _angle(*(torch.cdist(u, w, compute_mode="donot_use_mm_for_euclid_dist") for w in (v, -v)))

    def screen(self, outputs: Tensor) -> Screen:
        """Compare chords: the Euclidean distance of unit vectors at the angle d pi is 2 sin(d pi / 2)."""
        return Chord(outputs, directions)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for vectors of k numbers: an absolute one from the unit vectors, a relative one from norms and angle.

        The error of a unit vector is at most 3 u, plus (k/2 + 1) u from its norm. Let s = |u - v| and t = |u + v|, with
        s^2 + t^2 = 4. Errors ds and dt change the angle by at most sqrt(ds^2 + dt^2), so errors e of both vectors
        change it by at most 2 e. The norms s and t have relative errors of at most (k/2 + 3) u. They change the angle
        by s t / 2 times the difference of these errors, at most (k + 6) u relative to the angle.
        """
        k = center.numel()
        return (k + 10) * UNIT, (k / 3 + 3) * UNIT

    def candidates(self, outputs: Tensor) -> Tensor:
        """Means of nearest halves (`halves.nearest_half_means`)."""
        return nearest_half_means(outputs, self)


class Chord(Euclidean):
    """The screen |a - b| > 2 sin(radius pi / 2) for unit vectors.

    A vector of zeros has angular distance 1/2 from all others. Its chord is 1 here rather than sqrt(2), so it is never
    wrongly called far.
    """

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        return super().far(rows, columns, 2 * sin(min(radius, 1) * pi / 2))


def directions(outputs: Tensor) -> Tensor:
    """Unit vectors of outputs (n, *shape): (n, k), float64; zeros for zeros.

    Examples:
        >>> directions(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    vectors = outputs.double().flatten(1)
    size = vectors.abs().amax(dim=1, keepdim=True)  # divided by first, so that no square over- or underflows
    vectors = torch.where(size > 0, vectors / size, 0.0)
    norm = _sum_of_halves(vectors.square()).sqrt()
    return torch.where(norm > 0, vectors / norm, 0.0)


def _sum_of_halves(numbers: Tensor) -> Tensor:
    """The sum of each row, (n, k) -> (n, 1), in an order that depends on k alone.

    A reduction on CUDA adds in an order that depends on n too. Then an output would have another direction among many
    outputs than alone, and a distance above 0 from itself. Here the second half is added to the first until one number
    is left.
    """
    while (k := numbers.shape[1]) > 1:
        half = (k + 1) // 2
        rest = numbers[:, half:]
        numbers = numbers[:, :half].clone()
        numbers[:, : k - half] += rest
    return numbers


def _angle(difference: Tensor, total: Tensor) -> Tensor:
    return (2 / pi * torch.atan2(difference, total)).clamp(0, 1)
