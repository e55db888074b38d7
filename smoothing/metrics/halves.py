"""Candidates for the center that are not outputs: means of the nearest half of the outputs."""

import torch
from torch import Tensor

from smoothing.metrics.base import Metric

ROUNDS = 5


def nearest_half_means(outputs: Tensor, metric: Metric) -> Tensor:
    """The mean of all outputs, then the mean of the half nearest to it, and so on; see `Metric.candidates`.

    Independent errors cancel in a mean, but an output keeps its own. If outputs scatter around one point in many
    dimensions, the mean is closer to most of them by a factor of up to sqrt(2).

    Args:
        outputs: (n, *shape). Outputs that are not finite are left out.
        metric: the metric that defines which outputs are nearest.

    Returns:
        (ROUNDS, *shape), in the outputs' dtype; (0, *shape) if half of the outputs or more are not finite.

    Examples:
        >>> from smoothing import L2
        >>> nearest_half_means(torch.tensor([[0.0], [1.0], [2.0], [97.0]]), L2())[:2].tolist()
        [[25.0], [1.5]]
    """
    half = (len(outputs) + 1) // 2
    part = finite = outputs[outputs.isfinite().flatten(1).all(dim=1)]
    if len(finite) < half:
        return outputs[:0]
    means: list[Tensor] = []
    for _ in range(ROUNDS):
        if means:
            part = finite[metric.pairwise(finite, means[-1])[:, 0].argsort(stable=True)[:half]]
        means.append(part.mean(dim=0, keepdim=True, dtype=torch.float64).to(outputs.dtype))
    return torch.cat(means)
