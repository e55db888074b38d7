"""Checks of a metric's arguments and results, and of the axioms of a distance on the first outputs.

Without these checks, a mistake in a subclass would silently give false certificates. A similarity instead of a distance
makes distant outputs look close. A result of the wrong shape is broadcast into distances that were never computed. The
checks on the first outputs are cheap and find gross mistakes; they prove nothing.
"""

import warnings
from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from smoothing.arithmetic import fixed_arithmetic
from smoothing.errors import SettingError, SmoothingWarning
from smoothing.user_code import shown

if TYPE_CHECKING:
    from smoothing.metrics.base import Metric

POINTS = 5  # first distinct outputs that are checked: 60 triples
LOOKED_AT = 16  # outputs of a batch among which distinct ones are sought
TOLERANCE = 1e-5  # allowed error, relative to the largest distance between them
NOISE = 1e-10  # allowed error on top of that, relative to the largest number, and absolute for larger ones than 1
NEAR = 1e-3  # relative to the largest number: outputs that differ by less may have distances of rounding errors only,
NOISE_OF_NEAR = 1e-6  # which are this large if a metric computes in float32
ROUNDED = -1e-5  # a negative distance above this is no similarity but a rounding error
CLEARLY = 1.25  # at the mean of two outputs, a squared distance with gamma = 2 is equal to its bound but for rounding
NEGATIVE = 1e-6  # a distance in [-NEGATIVE, 0) is a rounding error

Distances = Callable[[Any, Tensor, Tensor], Tensor]


def public(pairs: bool) -> Callable[[Distances], Distances]:
    """Decorator for a metric's `pairwise` (pairs) or `__call__`: checks the arguments and the result.

    Distances of outputs that are not finite, and NaN, become infinite. The decorated method raises SettingError if it
    is not given batches of comparable outputs, or does not return one distance for each pair.
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
            usable = (one[:, None] & other if pairs else one & other) & (distances >= -NEGATIVE)  # False for NaN
            return torch.where(usable, distances.clamp(min=0), torch.inf)

        checked.unchecked = method  # type: ignore[attr-defined]
        return checked

    return decorate


def require_distances(metric: "Metric", distances: Any, shape: tuple[int, ...], device: torch.device) -> None:
    """Raise SettingError unless `distances` is a tensor of real numbers of this shape on this device."""
    expected = f"expected a tensor {shape} of real numbers on {device}, a distance for each pair of outputs"
    if not isinstance(distances, Tensor):
        raise SettingError(f"metric: {metric} returned {type(distances).__name__}; {expected}")
    if tuple(distances.shape) != shape:
        raise SettingError(f"metric: {metric} returned shape {tuple(distances.shape)}; {expected}")
    if distances.is_complex() or distances.dtype == torch.bool:
        raise SettingError(f"metric: {metric} returned {distances.dtype}; {expected}")
    if distances.device != device:
        raise SettingError(f"metric: {metric} returned distances on {distances.device}; {expected}")


def is_empty(metric: "Metric", output: Tensor) -> bool:
    """Whether an output, (*shape), means that nothing was found. Raises SettingError if `empty` gives no bool."""
    with shown("metric", always=False):
        found = metric.empty(output[None])
    if not isinstance(found, Tensor) or found.shape != (1,) or found.dtype != torch.bool:
        what = f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise SettingError(f"metric: {metric}.empty: expected one bool for each output, (n,), got {what}")
    return bool(found)


def require_largest(metric: "Metric", largest: Any, name: str = "largest") -> None:
    """Raise SettingError unless `largest`, which the metric gives as its `name`, is a number above 0."""
    if not (isinstance(largest, Real) and float(largest) > 0):  # NaN is not above 0
        raise SettingError(
            f"metric: {metric}.{name}: expected a number above 0, infinite if no bound is known, got {largest!r}"
        )


def require_outputs(metric: "Metric", outputs: Any) -> None:
    """Raise SettingError unless `outputs` is a batch of real outputs, (n, *shape)."""
    if not isinstance(outputs, Tensor):
        raise SettingError(f"metric: {metric}: expected tensors of outputs, got {type(outputs).__name__}")
    if outputs.is_complex():
        raise SettingError(f"metric: {metric}: outputs are complex; let f return torch.view_as_real(outputs)")
    if outputs.dim() < 2 or outputs.shape[1:].numel() == 0:
        raise SettingError(
            f"metric: {metric}: expected outputs (n, *shape) with at least one number each, got {tuple(outputs.shape)}"
        )


def _require_comparable(metric: "Metric", a: Any, b: Any, pairs: bool) -> None:
    gamma = metric.gamma
    if not (isinstance(gamma, Real) and 1 <= gamma < torch.inf):
        raise SettingError(f"metric: {metric}.gamma: expected a number of at least 1, see `Metric`, got {gamma!r}")
    for outputs in (a, b):
        require_outputs(metric, outputs)
    if a.shape[1:] != b.shape[1:]:
        raise SettingError(
            f"metric: {metric}: expected outputs of one shape, got different shapes {tuple(a.shape[1:])} and "
            f"{tuple(b.shape[1:])}"
        )
    if not pairs and len(a) != len(b) and 1 not in (len(a), len(b)):
        raise SettingError(
            f"metric: {metric}: got {len(a)} outputs and {len(b)} to compare them with; expected the same number, or 1"
        )
    if a.device != b.device:
        raise SettingError(
            f"metric: {metric}: expected outputs on one device, got different devices {a.device} and {b.device}"
        )


def _try_first_outputs(metric: "Metric", a: Tensor, b: Tensor) -> None:
    """Check the axioms of a distance on the first `POINTS` distinct outputs of each shape, dtype and device.

    In calls number 2, 4, 8, ... their distances are computed again. On a GPU, where the host waits for each look at
    outputs, the outputs are sought in these calls alone.
    """
    tried: dict[Any, tuple[Tensor, tuple[float, Tensor] | None, int]] = vars(metric).setdefault("_tried", {})
    kind = (tuple(a.shape[1:]), a.dtype, a.device)
    known, before, calls = tried.get(kind, (a[:0], None, 0))
    if calls < 0:
        return
    tried[kind] = known, before, calls + 1
    complete, turn = len(known) == POINTS, not (calls + 1) & calls
    if not turn and (complete or a.is_cuda):
        return
    outputs = a[:LOOKED_AT] if len(a) >= max(2, len(b)) else torch.cat([b[:LOOKED_AT], a[:1].to(b.dtype)])
    points = known if complete else _distinct(known, outputs.detach())
    new = len(points) > len(known)
    if not new and (not turn or before is None):
        return
    tried[kind] = known, before, -1  # the metric's own calls below must not check again
    try:
        with fixed_arithmetic(a.device):  # that of certificates, whatever the caller's is
            if before is not None:
                _require_same(metric, known, *before)
            if new:
                before = _require_distance(metric, points), _from_the_next(metric, points)
    except BaseException:
        tried[kind] = known, before, calls
        raise
    tried[kind] = points, before, calls + 1


def _from_the_next(metric: "Metric", points: Tensor) -> Tensor:
    """The distance of each of n outputs from another: (n,)."""
    return _unchecked(type(metric), "__call__")(metric, points, points.roll(1, 0)).double()


def _require_same(metric: "Metric", points: Tensor, slack: float, before: Tensor) -> None:
    """Raise SettingError if distances of the first outputs, `_from_the_next`, are others than before."""
    if (gap := _gap(_from_the_next(metric, points), before)) > slack:
        raise SettingError(
            f"metric: {metric}: distances of the same outputs have changed by {gap:.3g} since they were first "
            "computed; compute d(a, b) from a and b alone, not from earlier calls"
        )


def _distinct(known: Tensor, outputs: Tensor) -> Tensor:
    """The known outputs and new ones, `POINTS` in all at most: (k, *shape), (n, *shape) -> (k or more, *shape)."""
    left = outputs[_finite(outputs)].to(known.dtype)
    for each in known:
        left = left[(left != each).flatten(1).any(dim=1)]
    found = list(known)
    while len(left) and len(found) < POINTS:
        found.append(left[0].clone())
        left = left[(left != left[0]).flatten(1).any(dim=1)]
    return torch.stack(found) if found else known


def _require_distance(metric: "Metric", points: Tensor) -> float:
    """The accepted rounding error. Raises SettingError unless d is symmetric, of two outputs alone, and obeys gamma."""
    n, device = len(points), points.device
    by_row, by_pair = (_unchecked(type(metric), name) for name in ("__call__", "pairwise"))
    everything = by_pair(metric, points, points)
    to_first = by_row(metric, points, points[:1])
    to_same = by_row(metric, points, points)
    require_distances(metric, everything, (n, n), device)
    require_distances(metric, to_first, (n,), device)
    require_distances(metric, to_same, (n,), device)
    require_largest(metric, metric.largest_distance(points.shape[1:]), "largest_distance")
    d = everything.double().nan_to_num(torch.inf, posinf=torch.inf)
    slack = _slack(points, d)

    def refuse(what: str) -> None:
        raise SettingError(f"metric: {metric} is not a distance: on the first outputs {what}")

    if n > 1 and bool(everything[~torch.eye(n, dtype=torch.bool, device=device)].isnan().all()):
        raise SettingError(f"metric: {metric} gives NaN for finite outputs; expected a number for any two of them")
    if bool((d < -slack).any()):
        advice = (
            "add .clamp(min=0) against rounding errors" if d.min() >= ROUNDED else "a distance and not a similarity"
        )
        refuse(f"d(a, b) = {float(d.min()):.6g}; expected at least 0, {advice}")
    itself = d.diagonal()[d.diagonal().isfinite()]
    if bool((itself > slack).any()):
        refuse(f"d(a, a) = {float(itself.max()):.6g}; expected 0, a distance and not a similarity")
    if (gap := _gap(d, d.T)) > slack:
        refuse(f"d(a, b) and d(b, a) differ by {gap:.3g}; expected equal numbers")
    for found, expected in ((to_first, d[:, 0]), (to_same, d.diagonal())):
        if (gap := _gap(found.double(), expected)) > slack:
            refuse(f"row by row and pairwise they differ by {gap:.3g}; make _distance and _all_distances agree")
    alone = [by_row(metric, one, other) for one, other in pairwise(points.split(1))]
    if alone and (gap := _gap(torch.cat(alone).double(), d.diagonal(1))) > slack:
        refuse(f"alone and among others they differ by {gap:.3g}; compute d(a, b) from a and b alone")
    detour = metric.gamma * (d[:, :, None] + d[None]).amin(dim=1)
    if bool(((d > detour + slack) & d.isfinite()).any()):
        refuse(f"d(a, c) is more than {metric.gamma:g} (d(a, b) + d(b, c)); set a larger gamma, one that always holds")
    _warn_of_means(metric, points, d, slack)
    _warn_of_unions(metric, points, slack)
    return slack


def _warn_of_unions(metric: "Metric", points: Tensor, slack: float) -> None:
    """Warn if gamma is too small for masks: for one, the mask of all other pixels, and their union.

    Such as 1 - Dice, which needs gamma = 3/2. The masks of one input are too similar to show it.
    """
    if not bool(((points == 0) | (points == 1)).all()):
        return
    others, by_row = 1 - points, _unchecked(type(metric), "__call__")
    union = torch.ones_like(points)
    try:
        whole, *halves = (
            by_row(metric, a, b).double() for a, b in ((points, others), (points, union), (others, union))
        )
    except Exception:  # they are no outputs for this metric
        return
    if bool(((whole > metric.gamma * (halves[0] + halves[1]) + slack) & whole.isfinite()).any()):
        warnings.warn(
            f"metric: {metric}: d(a, c) is more than {metric.gamma:g} (d(a, b) + d(b, c)) for a mask, the mask of all "
            "other pixels, and their union b. Certificates are wrong where such outputs are possible: set a larger "
            "gamma, such as 1.5 for 1 - Dice, or use MaskJaccard",
            SmoothingWarning,
            stacklevel=2,
        )


def _warn_of_means(metric: "Metric", points: Tensor, d: Tensor, slack: float) -> None:
    """Warn if gamma is too small for the means of two outputs, which in some spaces are no outputs.

    Noisy outputs are about equally far from one another, so that a squared distance looks like a distance between them.
    """
    if len(points) < 2 or not points.is_floating_point():
        return
    means, by_row = (points[:-1] + points[1:]) / 2, _unchecked(type(metric), "__call__")
    try:
        halves = [by_row(metric, means, ends).double() for ends in (points[:-1], points[1:])]
    except Exception:  # the means are no outputs for this metric
        return
    if bool((d.diagonal(1) > CLEARLY * metric.gamma * (halves[0] + halves[1]) + slack).any()):
        warnings.warn(
            f"metric: {metric}: d(a, c) is more than {metric.gamma:g} (d(a, b) + d(b, c)) for two outputs and b, their "
            "mean. Where b may be an output, certificates are wrong: set a larger gamma, such as 2 for a squared "
            "distance",
            SmoothingWarning,
            stacklevel=2,
        )


def _unchecked(cls: type, name: str) -> Distances:
    method = getattr(cls, name)
    return getattr(method, "unchecked", method)


def _slack(points: Tensor, d: Tensor) -> float:
    """The largest rounding error that is accepted."""
    numbers = points.double().flatten(1)
    near = bool((numbers.amax(dim=0) - numbers.amin(dim=0)).max() <= NEAR * numbers.abs().max())
    largest = float(torch.where(d.isfinite(), d, 0.0).abs().max())
    return TOLERANCE * largest + (NOISE_OF_NEAR if near else NOISE * min(1.0, float(numbers.abs().max())))


def _gap(a: Tensor, b: Tensor) -> float:
    """The largest finite difference; 0 if there is none."""
    gap = (a - b).abs()
    return float(torch.where(gap.isfinite(), gap, 0.0).max())


def _finite(outputs: Tensor) -> Tensor:
    return outputs.isfinite().flatten(1).all(dim=1)
