"""What a metric is given and what it returns, checked; and on the first outputs, whether it is a distance.

A subclass's mistake is not seen in a certificate, which would be false: a similarity in place of a distance makes far
outputs near, and a result of the wrong shape is broadcast into distances that were never computed. The checks on the
first outputs are cheap and find gross mistakes; they prove nothing.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from smoothing.errors import SettingError

if TYPE_CHECKING:
    from smoothing.metrics.base import Metric

POINTS = 5  # of the first outputs: 60 triples
TOLERANCE = 1e-5  # of the largest distance between them
NOISE = 1e-10  # what else two ways to compute one distance may differ by
NEAR = 1e-3  # of their largest number: outputs that differ by less may have distances of rounding errors alone,
NOISE_OF_NEAR = 1e-6  # which are this large where a metric computes in float32
NEGATIVE = 1e-6  # a distance below zero by no more than this is a rounding error

Distances = Callable[[Any, Tensor, Tensor], Tensor]


def public(pairs: bool) -> Callable[[Distances], Distances]:
    """Decorates a metric's `pairwise` (pairs) or `__call__`: refuses what is no batch of outputs or no distances.

    Whatever the method returns for outputs that are not finite, and NaN, becomes infinite.

    Raises SettingError.
    """

    def decorate(method: Distances) -> Distances:
        @wraps(method)
        def checked(self: "Metric", a: Tensor, b: Tensor) -> Tensor:
            _require_comparable(self, a, b, pairs)
            if not pairs and len(a) == 1:
                a = a.expand_as(b)
            _try_first_outputs(self, a, b)
            distances = method(self, a, b)
            require_distances(self, distances, (len(a), len(b)) if pairs else (len(a),), a.device)
            one, other = _finite(a), _finite(b)
            distances = distances.double()
            usable = (one[:, None] & other if pairs else one & other) & (distances >= -NEGATIVE)  # false of NaN
            return torch.where(usable, distances.clamp(min=0), torch.inf)

        checked.unchecked = method  # type: ignore[attr-defined]
        return checked

    return decorate


def require_distances(metric: "Metric", distances: Any, shape: tuple[int, ...], device: torch.device) -> None:
    """Raise SettingError unless these are real numbers, one for each pair of outputs, on the outputs' device."""
    expected = f"expected a tensor {shape} of real numbers on {device}, a distance for each pair of outputs"
    if not isinstance(distances, Tensor):
        raise SettingError(f"metric: {metric} returned {type(distances).__name__}; {expected}")
    if tuple(distances.shape) != shape:
        raise SettingError(f"metric: {metric} returned shape {tuple(distances.shape)}; {expected}")
    if distances.is_complex() or distances.dtype == torch.bool:
        raise SettingError(f"metric: {metric} returned {distances.dtype}; {expected}")
    if distances.device != device:
        raise SettingError(f"metric: {metric} returned distances on {distances.device}; {expected}")


def require_outputs(metric: "Metric", outputs: Any) -> None:
    """Raise SettingError unless this is a batch of outputs, (n, *shape), of real numbers."""
    if not isinstance(outputs, Tensor):
        raise SettingError(f"metric: {metric}: expected tensors of outputs, got {type(outputs).__name__}")
    if outputs.is_complex():
        raise SettingError(f"metric: {metric}: outputs are complex; have f return torch.view_as_real of them")
    if outputs.dim() < 2 or outputs.shape[1:].numel() == 0:
        raise SettingError(
            f"metric: {metric}: expected outputs (n, *shape) of one number or more each, got {tuple(outputs.shape)}"
        )


def _require_comparable(metric: "Metric", a: Any, b: Any, pairs: bool) -> None:
    for outputs in (a, b):
        require_outputs(metric, outputs)
    if a.shape[1:] != b.shape[1:]:
        raise SettingError(
            f"metric: {metric}: outputs of different shapes {tuple(a.shape[1:])} and {tuple(b.shape[1:])}"
        )
    if not pairs and len(a) != len(b) and 1 not in (len(a), len(b)):
        raise SettingError(
            f"metric: {metric}: {len(a)} outputs and {len(b)} to compare them with; expected as many, or one"
        )
    if a.device != b.device:
        raise SettingError(f"metric: {metric}: outputs on different devices {a.device} and {b.device}")


def _try_first_outputs(metric: "Metric", a: Tensor, b: Tensor) -> None:
    """Once for each kind of outputs, as soon as there are so many: is it a distance between them?"""
    tried: dict[tuple[Any, ...], int] = vars(metric).setdefault("_tried", {})
    kind = (tuple(a.shape[1:]), a.dtype, a.device)
    if tried.get(kind, 0) == POINTS:
        return
    points = a[:POINTS] if len(a) >= max(2, len(b)) else torch.cat([b[:POINTS], a[:1].to(b.dtype)])
    points = points[_finite(points)][:POINTS]
    if len(points) <= tried.get(kind, 0):
        return
    before = tried.get(kind, 0)
    tried[kind] = POINTS  # what is called below comes here again
    try:
        with torch.no_grad():
            _require_distance(metric, points.detach())
    except BaseException:
        tried[kind] = before
        raise
    tried[kind] = len(points)


def _require_distance(metric: "Metric", points: Tensor) -> None:
    """Raise SettingError unless d is no similarity, symmetric, the same by both methods, and obeys its inequality."""
    n, device = len(points), points.device
    by_row, by_pair = (_unchecked(type(metric), name) for name in ("__call__", "pairwise"))
    everything = by_pair(metric, points, points)
    to_first = by_row(metric, points, points[:1])
    to_same = by_row(metric, points, points)
    require_distances(metric, everything, (n, n), device)
    require_distances(metric, to_first, (n,), device)
    require_distances(metric, to_same, (n,), device)
    d = everything.double().nan_to_num(torch.inf, posinf=torch.inf)
    slack = _slack(points, d)

    def refuse(what: str) -> None:
        raise SettingError(f"metric: {metric} is no distance: on the first outputs {what}")

    if bool((d < -slack).any()):
        refuse(f"d(a, b) = {float(d.min()):.6g}; expected at least 0, as of a distance and not of a similarity")
    itself = d.diagonal()[d.diagonal().isfinite()]
    if bool((itself > slack).any()):
        refuse(f"d(a, a) = {float(itself.max()):.6g}; expected 0, as of a distance and not of a similarity")
    if (gap := _gap(d, d.T)) > slack:
        refuse(f"d(a, b) and d(b, a) differ by {gap:.3g}; expected the same number")
    for found, expected in ((to_first, d[:, 0]), (to_same, d.diagonal())):
        if (gap := _gap(found.double(), expected)) > slack:
            refuse(f"row by row and pairwise they differ by {gap:.3g}; let _distance and _all_distances agree")
    detour = metric.gamma * (d[:, :, None] + d[None]).amin(dim=1)
    if bool(((d > detour + slack) & d.isfinite()).any()):
        refuse(f"d(a, c) is more than {metric.gamma:g} (d(a, b) + d(b, c)); set gamma to what the metric obeys")


def _unchecked(cls: type, name: str) -> Distances:
    method = getattr(cls, name)
    return getattr(method, "unchecked", method)


def _slack(points: Tensor, d: Tensor) -> float:
    """How large a rounding error may be."""
    numbers = points.double().flatten(1)
    near = bool((numbers.amax(dim=0) - numbers.amin(dim=0)).max() <= NEAR * numbers.abs().max())
    largest = float(torch.where(d.isfinite(), d, 0.0).abs().max())
    return TOLERANCE * largest + (NOISE_OF_NEAR if near else NOISE)


def _gap(a: Tensor, b: Tensor) -> float:
    """The largest difference of finite numbers; 0 where there are none."""
    gap = (a - b).abs()
    return float(torch.where(gap.isfinite(), gap, 0.0).max())


def _finite(outputs: Tensor) -> Tensor:
    return outputs.isfinite().flatten(1).all(dim=1)
