"""Centers that are no outputs: the mean of the half of the outputs that lies nearest."""

import torch
from torch import Tensor

from smoothing.metrics.base import Metric

ROUNDS = 5


def nearest_half_means(outputs: Tensor, metric: Metric) -> Tensor:
    """The mean of all outputs, then that of the half of them nearest to it, and so on; see `Metric.candidates`.

    Independent errors cancel in a mean, while an output keeps its own: where outputs scatter around one point in many
    dimensions, the mean is closer to most of them by a factor of up to sqrt(2).

    Args:
        outputs: (n, *shape); those that are not finite are left out.
        metric: what is nearest.

    Returns:
        (ROUNDS, *shape), in the outputs' type; (0, *shape) where half of the outputs or more are not finite.
    """
    half = (len(outputs) + 1) // 2
    part = finite = outputs[outputs.isfinite().flatten(1).all(dim=1)]
    if len(finite) < half:
        return outputs[:0]
    means: list[Tensor] = []
    while len(means) < ROUNDS:
        means.append(part.mean(dim=0, keepdim=True, dtype=torch.float64).to(outputs.dtype))
        part = finite[metric.pairwise(finite, means[-1])[:, 0].argsort(stable=True)[:half]]
    return torch.cat(means)
