"""The center of a sample of outputs: the output, or other candidate, with the smallest median distance to them.

Or, for another rank than the median's, the smallest ball that contains that number of outputs.
"""

import torch
from torch import Tensor

from smoothing.metrics import Metric
from smoothing.metrics.checks import require_outputs
from smoothing.metrics.screens import Screen

PAIRS_AT_ONCE = 2**21  # bounds the memory of a block of pairwise distances
LEAST_SCREENED = 256  # outputs; for fewer, computing all exact distances is as fast
FIRST = 8  # outputs whose exact medians are computed first
SIDE = 512  # points in a block of the screen


def best_center(
    outputs: Tensor, metric: Metric, candidates: Tensor | None = None, rank: int | None = None
) -> tuple[Tensor, float]:
    """The medoid, or a better candidate, and its median distance to the outputs.

    argmin over z in outputs and candidates of the ceil(n/2)-th smallest of d(z, output_1), ..., d(z, output_n) (Kumar
    and Goldstein 2021, algorithm 1). This median is at most 2 gamma times the radius of the smallest ball that contains
    half of the outputs. `Metric.beta` may state a smaller factor.

    If the metric has a screen, an output is skipped once half of all outputs are provably farther away than the best
    median so far (with a rank: too many to leave `rank` of them within it). The result is the same, to the last bit.

    Args:
        outputs: (n, *output shape).
        metric: distance between outputs.
        candidates: further points, (k, *output shape); those of the metric if not given.
        rank: minimise the rank-th smallest distance, 1 to n; the median, ceil(n/2), if not given.

    Returns:
        The center (*output shape), and its median (rank-th smallest) distance, +inf if too many outputs are not finite.
        If several are equally good, the first one.

    Raises:
        SettingError: the metric cannot compare the outputs, or it does not return distances.

    Examples:
        >>> from smoothing import L2
        >>> outputs = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.2, 0.0], [50.0, 0.0]])
        >>> center, radius = best_center(outputs, L2(), candidates=outputs[:0])  # the medoid
        >>> center, round(radius, 4)
        (tensor([1., 0.]), 0.2)
    """
    require_outputs(metric, outputs)
    rank = (len(outputs) + 1) // 2 if rank is None else rank
    points = torch.cat([outputs, metric.candidates(outputs) if candidates is None else candidates])
    finite = outputs.isfinite().flatten(1).all(dim=1).nonzero()[:, 0]
    screen = metric.screen(outputs[finite]) if len(finite) >= LEAST_SCREENED else None
    if screen is None:
        medians = _medians(points, outputs, metric, rank)
    else:
        medians = torch.full((len(points),), torch.inf, dtype=torch.float64, device=outputs.device)
        medians[len(outputs) :] = _medians(points[len(outputs) :], outputs, metric, rank)
        order = finite[screen.order]
        left, block, tried = torch.arange(len(screen), device=outputs.device), FIRST, float("inf")
        while True:
            if (radius := float(medians.min())) < tried:
                left, tried = _may_be_within(screen, left, radius, rank), radius
            if len(left) == 0:
                break
            rows = order[left[:block]]
            medians[rows] = _medians(outputs[rows], outputs, metric, rank)
            left, block = left[block:], 2 * block
    best_row = int(medians.argmin())
    return points[best_row], float(medians[best_row])


def numbers_within(points: Tensor, outputs: Tensor, metric: Metric, radius: float) -> Tensor:
    """How many outputs (n, *output shape) lie within the radius of each point (k, *output shape): (k,), int64, sorted.

    Examples:
        >>> from smoothing import L2
        >>> outputs = torch.tensor([[0.0], [1.0], [5.0]])
        >>> numbers_within(outputs, outputs, L2(), radius=1.0)
        tensor([1, 2, 2])
    """
    rows = max(1, PAIRS_AT_ONCE // len(outputs))
    counts = [(metric.pairwise(part, outputs) <= radius).sum(dim=1) for part in points.split(rows)]
    return torch.cat(counts).sort().values


def lower_median(distances: Tensor) -> Tensor:
    """The ceil(n/2)-th smallest number of each row: (k, n) -> (k,). A ball of that radius contains half of the n.

    Examples:
        >>> lower_median(torch.tensor([[4.0, 1.0, 3.0, 2.0]]))
        tensor([2.])
    """
    return distances.kthvalue((distances.shape[1] + 1) // 2, dim=1).values


def _medians(points: Tensor, outputs: Tensor, metric: Metric, rank: int) -> Tensor:
    """Exact rank-th smallest distances of points (k, *shape) to the outputs (n, *shape): (k,), float64."""
    rows = max(1, PAIRS_AT_ONCE // len(outputs))
    return torch.cat([metric.pairwise(part, outputs).kthvalue(rank, dim=1).values for part in points.split(rows)])


def _may_be_within(screen: Screen, rows: Tensor, radius: float, rank: int) -> Tensor:
    """The points among `rows` that may have `rank` of all points within the radius, the most promising first.

    A few points are compared with all points. For many, each pair of blocks is compared once, for the points of both.
    Pairs are taken by their cyclic distance in blocks, the largest distance first. A pair is skipped if no point of
    either block can have enough points within the radius.
    """
    possible = torch.full((len(screen),), float(len(screen)), dtype=torch.float64, device=rows.device)
    blocks = torch.arange(len(screen), device=rows.device).split(SIDE)
    if len(rows) <= SIDE:
        for block in blocks:
            possible[rows] -= screen.far(rows, block, radius).sum(dim=1)
        return _most_promising(rows, possible, rank)
    for distance in reversed(range(len(blocks) // 2 + 1)):
        alive = [bool((possible[block] >= rank).any()) for block in blocks]
        for i, one in enumerate(blocks):
            j = (i + distance) % len(blocks)
            if (2 * distance == len(blocks) and j < i) or not (alive[i] or alive[j]):
                continue
            far = screen.far(one, blocks[j], radius)
            possible[one] -= far.sum(dim=1)
            if i != j:
                possible[blocks[j]] -= far.sum(dim=0)
    return _most_promising(rows, possible, rank)


def _most_promising(rows: Tensor, possible: Tensor, rank: int) -> Tensor:
    kept = rows[possible[rows] >= rank]
    return kept[possible[kept].argsort(descending=True, stable=True)]
