"""The center of a sample: of its outputs and a few other points, the one with the smallest median distance to it."""

import torch
from torch import Tensor

from smoothing.metrics import Metric
from smoothing.metrics.checks import require_outputs
from smoothing.metrics.screens import Screen

PAIRS_AT_ONCE = 2**21  # bounds the memory of a block of pairwise distances
LEAST_SCREENED = 256  # outputs: for fewer all exact distances are as fast
FIRST = 8  # outputs whose exact median is the first to be beaten
SIDE = 512  # points in a block of the screen


def best_center(outputs: Tensor, metric: Metric, candidates: Tensor | None = None) -> tuple[Tensor, float]:
    """The medoid, or a candidate that is better, and its median distance to the outputs.

    Where the metric has a screen, outputs are left out whose median distance is surely larger than one already known:
    half of all outputs are surely farther from them. The answer is the same, to the last bit.

    Args:
        outputs: (n, *output shape).
        metric: a distance between them.
        candidates: other points to consider, (k, *output shape), the metric's where not given.

    Returns:
        The center (*output shape) and the ceil(n/2)-th smallest of its distances to the n outputs, +inf where half of
        the outputs or more are not finite; of equally good ones the first output. The medoid's is at most 2 gamma times
        the radius of the smallest ball that holds half of the outputs, so this one's is too; `Metric.beta` may know
        better.

    Raises:
        SettingError: the outputs are none that the metric compares, or what it returns is no distance.
    """
    require_outputs(metric, outputs)
    points = torch.cat([outputs, metric.candidates(outputs) if candidates is None else candidates])
    finite = outputs.isfinite().flatten(1).all(dim=1).nonzero()[:, 0]
    screen = metric.screen(outputs[finite]) if len(finite) >= LEAST_SCREENED else None
    if screen is None:
        medians = _medians(points, outputs, metric)
    else:
        medians = torch.full((len(points),), torch.inf, dtype=torch.float64, device=outputs.device)
        medians[len(outputs) :] = _medians(points[len(outputs) :], outputs, metric)
        order, half = finite[screen.order], (len(outputs) + 1) // 2
        left, block, tried = torch.arange(len(screen), device=outputs.device), FIRST, float("inf")
        while True:
            if (radius := float(medians.min())) < tried:
                left, tried = _may_be_within(screen, left, radius, half), radius
            if len(left) == 0:
                break
            rows = order[left[:block]]
            medians[rows] = _medians(outputs[rows], outputs, metric)
            left, block = left[block:], 2 * block
    best_row = int(medians.argmin())
    return points[best_row], float(medians[best_row])


def lower_median(distances: Tensor) -> Tensor:
    """The ceil(n/2)-th smallest number of each row: (k, n) -> (k,). A ball of that radius holds half of the n."""
    return distances.kthvalue((distances.shape[1] + 1) // 2, dim=1).values


def _medians(points: Tensor, outputs: Tensor, metric: Metric) -> Tensor:
    """Exact median distances of points (k, *shape) to the outputs (n, *shape): (k,), float64."""
    rows = max(1, PAIRS_AT_ONCE // len(outputs))
    return torch.cat([lower_median(metric.pairwise(part, outputs)) for part in points.split(rows)])


def _may_be_within(screen: Screen, rows: Tensor, radius: float, half: int) -> Tensor:
    """Those of the points `rows` that `half` of all points may lie within the radius of, the likeliest first.

    Of few points each is compared with all. Of many, each pair of blocks is compared once, for the points of both:
    blocks that are 0, 1, 2, ... blocks apart (cyclically) in turn, until all points of both are known to have too few.
    """
    possible = torch.full((len(screen),), float(len(screen)), dtype=torch.float64, device=rows.device)
    blocks = torch.arange(len(screen), device=rows.device).split(SIDE)
    if len(rows) <= SIDE:
        for block in blocks:
            possible[rows] -= screen.far(rows, block, radius).sum(dim=1)
        return _likeliest(rows, possible, half)
    for distance in reversed(range(len(blocks) // 2 + 1)):
        alive = [bool((possible[block] >= half).any()) for block in blocks]
        for i, one in enumerate(blocks):
            j = (i + distance) % len(blocks)
            if (2 * distance == len(blocks) and j < i) or not (alive[i] or alive[j]):
                continue
            far = screen.far(one, blocks[j], radius)
            possible[one] -= far.sum(dim=1)
            if i != j:
                possible[blocks[j]] -= far.sum(dim=0)
    return _likeliest(rows, possible, half)


def _likeliest(rows: Tensor, possible: Tensor, half: int) -> Tensor:
    kept = rows[possible[rows] >= half]
    return kept[possible[kept].argsort(descending=True, stable=True)]
