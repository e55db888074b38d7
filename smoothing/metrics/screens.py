"""Screens: fast tests in low precision that show which points are farther apart than a radius, and are never wrong.

A screen avoids computing most exact distances. It may leave a pair undecided, and then the exact distance decides. It
never calls a pair far that is not, because its rounding errors are bounded and the bound is subtracted.

A sum of k products, or of k terms, added in any order, has an error of at most gamma_k = k u / (1 - k u) times the sum
of their absolute values, where u is the unit roundoff (Higham 2002, Accuracy and Stability of Numerical Algorithms,
section 3.1).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**22  # numbers converted to float64 at once while a screen is built
NUMBERS_IN_CACHE = 2**17  # numbers of the points that one point is compared with at once, on a CPU
SLACK = 1e-6  # relative to a radius; far more than the error of a distance in float64 or of a threshold in float32
UNDERFLOW = 2.0**-120  # more than the error of a number too small for float32
SHARE = 0.98  # of the l1 spread is in the coordinates that `Manhattan` uses, often a third of an image's coordinates

Points = Callable[[Tensor], Tensor]  # (b, *shape) -> (b, k), float64


class Screen(ABC):
    """A screen over n points, sorted by their distance from their mean.

    Attributes:
        order: point i belongs to output order[i], (n,).
    """

    order: Tensor

    def __len__(self) -> int:
        return len(self.order)

    @abstractmethod
    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        """Which pairs are provably farther apart than `radius`: indices (r,) and (c,) -> (r, c), 1.0 or 0.0."""


class Euclidean(Screen):
    """The screen |a - b|_2 > radius, with one matrix product of centred points.

    Let v be the centred points and r = |v|^2. Then -|v_i - v_j|^2 / 2 = v_i . v_j - r_i / 2 - r_j / 2. All errors are
    relative to r_i / 2 + r_j / 2, which is at least |v_i| |v_j|. Rounding v and r and adding k products gives at most
    gamma_(k + 4). The two subtractions give about 2 u each. Together they are less than gamma_(k + 10), so r is reduced
    by this factor.

    Args:
        outputs: (n, *shape), finite.
        points: function from outputs to points, (b, *shape) -> (b, k), float64.

    Examples:
        >>> screen = Euclidean(torch.tensor([[0.0], [1.0], [9.0]]), lambda outputs: outputs.double())
        >>> screen.order, screen.far(torch.tensor([0]), torch.tensor([1, 2]), radius=2.0)  # points 1 and 0, 2
        (tensor([1, 0, 2]), tensor([[0., 1.]]))
    """

    def __init__(self, outputs: Tensor, points: Points) -> None:
        self.scale, mean = _scale_and_mean(outputs, points)
        dtype = _exact_products(outputs.device)
        rounded, squares = [], []
        for p in _in_parts(outputs, points):
            v = (p - mean) / self.scale
            squares.append(v.square().sum(dim=1))
            rounded.append(v.to(dtype))
        size = torch.cat(squares)
        self.order = size.argsort(stable=True)
        self.points = torch.cat(rounded)[self.order]
        self.half = (size[self.order] / 2 * (1 - _higham_gamma(self.points))).to(dtype)

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        score = self.points[rows] @ self.points[columns].T
        score.sub_(self.half[rows, None]).sub_(self.half[columns])
        reach = radius / self.scale * (1 + SLACK)
        return score.lt_(-(reach**2) / 2 - UNDERFLOW * self.points.shape[1])


class Manhattan(Screen):
    """The screen |a - b|_1 > radius, with a partial sum over the coordinates that vary most.

    The partial sum is a lower bound. No term is negative, so its relative error is less than gamma_(k + 10). Rounding
    the centred points v adds an error of at most u (|v_i|_1 + |v_j|_1).

    Args:
        outputs: (n, *shape), finite.
        points: function from outputs to points, (b, *shape) -> (b, k), float64.
    """

    def __init__(self, outputs: Tensor, points: Points) -> None:
        self.scale, mean = _scale_and_mean(outputs, points)
        spread = sum(((p - mean).abs().sum(dim=0) for p in _in_parts(outputs, points)), mean * 0)
        most = spread.sort(descending=True, stable=True)
        share = most.values.cumsum(0) / most.values.sum()
        chosen = most.indices[: int((share < SHARE).sum()) + 1]
        rounded, sizes = [], []
        for p in _in_parts(outputs, points):
            v = (p[:, chosen] - mean[chosen]) / self.scale
            sizes.append(v.abs().sum(dim=1))
            rounded.append(v.float())
        size = torch.cat(sizes)
        self.order = size.argsort(stable=True)
        self.points = torch.cat(rounded)[self.order]
        self.lost = (size[self.order] * torch.finfo(torch.float32).eps).float()  # 2 u

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        sums = _l1_sums(self.points[rows], self.points[columns])
        sums.sub_(self.lost[rows, None]).sub_(self.lost[columns])
        reach = radius / self.scale * (1 + SLACK) * (1 + _higham_gamma(self.points))
        return sums.gt_(reach + UNDERFLOW * self.points.shape[1])


def _l1_sums(a: Tensor, b: Tensor) -> Tensor:
    """All l1 distances: (r, k) and (c, k) -> (r, c). On a CPU three times as fast as cdist, as it uses the cache."""
    if a.device.type != "cpu":
        return torch.cdist(a, b, p=1)
    sums = torch.empty(len(a), len(b), dtype=a.dtype)
    side = max(1, NUMBERS_IN_CACHE // a.shape[1])
    for columns, into in zip(b.split(side), sums.split(side, dim=1), strict=True):
        difference = torch.empty_like(columns)
        for row, to in zip(a, into, strict=True):
            torch.sum(torch.sub(columns, row, out=difference).abs_(), dim=1, out=to)
    return sums


def _in_parts(outputs: Tensor, points: Points) -> Iterator[Tensor]:
    for part in outputs.split(max(1, NUMBERS_AT_ONCE // max(1, outputs[0].numel()))):
        yield points(part)


def _scale_and_mean(outputs: Tensor, points: Points) -> tuple[float, Tensor]:
    """The largest absolute value and the mean. Centred points are divided by the first, so that no square overflows."""
    largest, total = 0.0, torch.zeros((), dtype=torch.float64, device=outputs.device)
    for p in _in_parts(outputs, points):
        largest, total = max(largest, float(p.abs().max())), total + p.sum(dim=0)
    return largest or 1.0, total / len(outputs)


def _exact_products(device: torch.device) -> torch.dtype:
    """The dtype for matrix products: float32 on a CPU unless its settings round the factors, else float64."""
    if device.type != "cpu":
        return torch.float64
    factors = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    return torch.float32 if factors in ("none", "ieee") else torch.float64


def _higham_gamma(points: Tensor) -> float:
    """Higham's gamma_(k + 10) in the points' dtype; infinite if there are too many terms, so that no pair is far."""
    error = (points.shape[1] + 10) * torch.finfo(points.dtype).eps / 2
    return error / (1 - error) if error < 0.1 else float("inf")
