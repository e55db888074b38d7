"""Which points are surely farther apart than a radius: fast, in low precision, and never wrong.

Exact distances decide; a screen spares most of them. It may leave a pair undecided, but calls none far that is not: its
rounding errors are bounded, and the bound is on the side of leaving more undecided. A sum of k products, or of k terms,
added in any order, is off by at most gamma_k = k u / (1 - k u) times the sum of their absolute values, with u the unit
roundoff (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**22  # of points in float64, while a screen is made
NUMBERS_IN_CACHE = 2**17  # of the points that one point is compared with, on a CPU
SLACK = 1e-6  # of a radius: far more than a distance in float64, or a threshold in float32, is off by
UNDERFLOW = 2.0**-120  # more than is lost of a number too small for float32
SHARE = 0.98  # of the l1 distances is in the coordinates that `Manhattan` looks at: a third of an image's, often

Points = Callable[[Tensor], Tensor]  # (b, *shape) -> (b, k), float64


class Screen(ABC):
    """n points, in the order of their distance from their mean.

    Attributes:
        order: point i is that of output order[i], (n,).
    """

    order: Tensor

    def __len__(self) -> int:
        return len(self.order)

    @abstractmethod
    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        """1.0 where two points are surely more than `radius` apart, else 0.0: indices (r,) and (c,) -> (r, c)."""


class Euclidean(Screen):
    """|a - b| > radius, by one matrix product of centred points.

    With v the centred points and r = |v|^2, -|v_i - v_j|^2 / 2 is v_i . v_j - r_i / 2 - r_j / 2. Relative to
    r_i / 2 + r_j / 2, which is at least |v_i| |v_j|, rounding v and r and adding k products is off by gamma_(k + 4),
    the two subtractions by about 2 u each; all together by less than gamma_(k + 10). r is made that much smaller.

    Args:
        outputs: (n, *shape), finite.
        points: outputs -> points.
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
        self.half = (size[self.order] / 2 * (1 - _gamma(self.points))).to(dtype)

    def far(self, rows: Tensor, columns: Tensor, radius: float) -> Tensor:
        score = self.points[rows] @ self.points[columns].T
        score.sub_(self.half[rows, None]).sub_(self.half[columns])
        reach = radius / self.scale * (1 + SLACK)
        return score.lt_(-(reach**2) / 2 - UNDERFLOW * self.points.shape[1])


class Manhattan(Screen):
    """|a - b|_1 > radius, by the part of the sum over the coordinates that differ most.

    That part is a lower bound. No term is negative, so the sum is off by less than gamma_(k + 10) of itself; rounding
    the centred points v first, by u (|v_i|_1 + |v_j|_1).

    Args:
        outputs: (n, *shape), finite.
        points: outputs -> points.
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
        reach = radius / self.scale * (1 + SLACK) * (1 + _gamma(self.points))
        return sums.gt_(reach + UNDERFLOW * self.points.shape[1])


def _l1_sums(a: Tensor, b: Tensor) -> Tensor:
    """l1 distances (r, k), (c, k) -> (r, c). On a CPU three times as fast as cdist, which leaves the cache."""
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
    """The largest absolute value, by which centred points are divided lest a square overflows, and the mean."""
    largest, total = 0.0, torch.zeros((), dtype=torch.float64, device=outputs.device)
    for p in _in_parts(outputs, points):
        largest, total = max(largest, float(p.abs().max())), total + p.sum(dim=0)
    return largest or 1.0, total / len(outputs)


def _exact_products(device: torch.device) -> torch.dtype:
    """float32 where no setting has its matrix products round their factors (to TF32 or bfloat16), else float64."""
    if device.type != "cpu":
        return torch.float64
    factors = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    return torch.float32 if factors in ("none", "ieee") else torch.float64


def _gamma(points: Tensor) -> float:
    """gamma_(k + 10) in the points' type; infinite, so that nothing is far, where there are too many terms."""
    error = (points.shape[1] + 10) * torch.finfo(points.dtype).eps / 2
    return error / (1 - error) if error < 0.1 else float("inf")
