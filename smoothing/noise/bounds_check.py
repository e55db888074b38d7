"""A check of what a noise declares: its threat norm, and bounds that are possible and do not contradict each other.

It finds gross mistakes, such as `shift` and `mass` exchanged; it proves nothing. A bound that raises an error of its
own, such as SettingError at an eps that it refuses, is not checked there: it raises it again when it is used.
"""

import re
import warnings
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from numbers import Real
from typing import Any

from smoothing.errors import SettingError, SmoothingWarning
from smoothing.noise.base import FiniteNoise, Noise

THREATS = ("l2", "l1", "l0", "patch")
EPS = (0.0, 0.01, 0.1, 1.0, 10.0)
WHOLE = (0.0, 1.0, 2.0, 10.0)  # numbers of pixels
PROBABILITIES = (0.001, 0.1, 0.5, 0.9, 0.999)
BOUNDS = ("shift", "mass", "radius")
COUNTS = 16  # the first counts of changed noisy inputs, and as many up to the largest
WITH = {"radius": "p_a", "reach": "count"}  # what a bound must not fall with, if not eps
OF_CLASS_A = (0.6, 0.9, 0.999)
SLACK = 1e-6  # of bounds that are computed from each other
ROUNDING = 1e-9  # a bound without outward rounding is no gross mistake


def require_bounds(noise: Noise) -> None:
    """Check a noise's threat norm, and its shift, mass and radius at a few numbers.

    Warn if bounds are inherited that are for other copies or another threat norm. Warn if `shift` is less than `radius`
    or `mass` promises: at least 1/2 within the radius, and p0 from mass(p0, eps).
    Of a finite noise, also check `steps`, `affected` and `reach`, and warn if `shift` is less, or `mass` more, than
    affected(eps) / steps promises.

    Args:
        noise: the noise.

    Raises:
        SettingError: threat_norm is no name, or another spelling of a known one, such as "L2"; a bound is no number or
            impossible, or moves the wrong way with eps, p_a or a count; affected(0) is not 0, or affected(reach(count))
            is more than the count.

    Examples:
        >>> from smoothing import Gaussian
        >>> require_bounds(Gaussian(sigma=0.5))
    """
    threat = getattr(noise, "threat_norm", None)
    if not isinstance(threat, str) or (re.sub(r"\W|_", "", threat).lower() in ("", *THREATS) and threat not in THREATS):
        raise SettingError(
            f"noise.threat_norm: expected l2, l1, l0, patch or a name of your own, got {threat!r}; set it in "
            f"{_name(noise)}"
        )
    _warn_of_inherited(noise)
    distances = WHOLE if threat in ("l0", "patch") else EPS
    if isinstance(noise, FiniteNoise):
        _require_finite(noise, distances)
    for p in PROBABILITIES:
        least = _values(noise, "shift", [(p, eps) for eps in distances], 0, p)
        _require_order("shift", least, -1)
        most = _values(noise, "mass", [(p, eps) for eps in distances], p, 1)
        _require_order("mass", most, 1)
    radii = _values(noise, "radius", [(p,) for p in OF_CLASS_A], 0, inf)
    _require_order("radius", radii, 1)
    _warn_of_contradictions(noise, distances)


def _warn_of_inherited(noise: Noise) -> None:
    """Warn if bounds are inherited that are for other copies or another threat norm than the noise has.

    A bound that the class itself names, such as `shift = Gaussian.shift`, is its own.
    """
    classes = type(noise).__mro__
    places = {name: next(k for k, each in enumerate(classes) if name in vars(each)) for name in BOUNDS}
    drawing = [k for k, each in enumerate(classes) if each not in (Noise, FiniteNoise) and _draws(each)]
    inherited = [name for name in BOUNDS if len(drawing) > 1 and places[name] > drawing[0]]
    norms = {name: getattr(classes[places[name]], "threat_norm", noise.threat_norm) for name in BOUNDS}
    others = [name for name in BOUNDS if norms[name] != noise.threat_norm]
    if inherited:
        own, other = (classes[k].__name__ for k in drawing[:2])
        warnings.warn(
            f"noise: {own} draws copies of its own, but inherits bounds for copies of {other}: {', '.join(inherited)}. "
            f"Certificates are false unless each copy is a function of a copy of {other}, such as a clamped one. If it "
            f"is, name the bounds in {own}, as {inherited[0]} = {other}.{inherited[0]}; else define other ones",
            SmoothingWarning,
            stacklevel=4,
        )
    if others:
        warnings.warn(
            f"noise: {_name(noise)} has threat_norm = {noise.threat_norm!r}, but inherits bounds for "
            f"{norms[others[0]]!r}: {', '.join(others)}. Certificates are false unless they hold for both; define them "
            f"in {_name(noise)}",
            SmoothingWarning,
            stacklevel=4,
        )


def _draws(cls: type) -> bool:
    """Whether a class defines how copies are drawn."""
    methods = [vars(cls)[name] for name in ("sample", "around") if name in vars(cls)]
    return any(not getattr(method, "__isabstractmethod__", False) for method in methods)


def _warn_of_contradictions(noise: Noise, distances: Sequence[float]) -> None:
    for p in OF_CLASS_A:
        for call, eps in _values(noise, "radius", [(p,)], 0, inf).items():
            if _contradicts(noise, p, eps, 0.5, call):
                return
    for p0 in PROBABILITIES:
        for eps in distances:
            for call, p in _values(noise, "mass", [(p0, eps)], p0, 1).items():
                if p < 1 and _contradicts(noise, p, eps, p0, call):
                    return


def _require_finite(noise: FiniteNoise, distances: Sequence[float]) -> None:
    """Check what exact certificates rely on, at some counts and radii. Raises SettingError."""
    steps, levels = (_positive(noise, name) for name in ("steps", "levels"))
    if steps != int(steps):
        raise SettingError(f"noise.steps: expected a whole number, got {steps}; set it in {_name(noise)}")
    most = int(steps) - 1
    counts = sorted({min(k, most) for k in range(COUNTS)} | {k * most // COUNTS for k in range(COUNTS + 1)})
    radii = sorted({0.0, *(count / levels for count in counts), *_reaches(noise, counts)})
    none = _values(noise, "affected", [(0.0,)], 0, 0)
    affected = none | _values(noise, "affected", [(eps,) for eps in sorted({*radii, *distances}) if eps], 0, inf)
    for call, changed in affected.items():
        if changed < inf and changed != int(changed):
            raise SettingError(f"noise: {call} gives {changed:g}; expected a whole number of noisy inputs")
    _require_order("affected", affected, 1)
    for p in PROBABILITIES:
        for eps in radii:  # of whole grid steps
            if _changes_more(noise, p, eps, steps):
                return


def _reaches(noise: FiniteNoise, counts: Sequence[int]) -> list[float]:
    """The radii `reach(count)`. Raises SettingError if more noisy inputs are affected, or if they fall."""
    reaches = dict[str, float]()
    for count in counts:
        for call, radius in _values(noise, "reach", [(count,)], 0, inf).items():
            reaches[call] = radius
            for other, changed in _values(noise, "affected", [(radius,)], 0, inf).items():
                if changed > count:
                    raise SettingError(
                        f"noise: {call} gives {radius:g}, but {other} gives {changed:g}; expected a radius that "
                        f"affects at most {count}"
                    )
    _require_order("reach", reaches, 1)
    return list(reaches.values())


def _positive(noise: Noise, name: str) -> float:
    value: Any = getattr(noise, name, None)
    if not _is_number(value) or not 0 < value < inf:
        raise SettingError(f"noise.{name}: expected a number above 0, got {value!r}; set it in {_name(noise)}")
    return float(value)


def _changes_more(noise: FiniteNoise, p: float, eps: float, steps: float) -> bool:
    """Warn if shift(p, eps) or mass(p, eps) is farther from p than affected(eps) / steps; 0 and 1 promise nothing."""
    changes = {call: (found, p - found) for call, found in _values(noise, "shift", [(p, eps)], 0, p).items() if found}
    masses = _values(noise, "mass", [(p, eps)], p, 1)
    changes |= {call: (found, found - p) for call, found in masses.items() if found < 1}
    for promise, changed in _values(noise, "affected", [(eps,)], 0, inf).items():
        for call, (found, change) in changes.items():
            if change > changed / steps + SLACK + 4 * noise.tv:
                warnings.warn(
                    f"noise: {call} gives {found:.6g}, and {promise} promises a change of at most {changed:g} of "
                    f"{steps:g}; one of them is wrong, and certificates may be false",
                    SmoothingWarning,
                    stacklevel=5,
                )
                return True
    return False


def _contradicts(noise: Noise, p: float, eps: float, least: float, promise: str) -> bool:
    """Warn if shift(p, eps) is below `least`, which another bound promises."""
    for call, found in _values(noise, "shift", [(p, eps)], 0, p).items():
        if found < least - SLACK - 4 * noise.tv:
            warnings.warn(
                f"noise: {call} gives {found:.6g}, and {promise} promises at least {least:g}; one of them is wrong, "
                "and certificates may be false",
                SmoothingWarning,
                stacklevel=4,
            )
            return True
    return False


def _values(noise: Noise, name: str, at: Sequence[tuple[float, ...]], least: float, most: float) -> dict[str, float]:
    """The values of a bound, by the text of the call. Raises SettingError if one is not from `least` to `most`."""
    found = {}
    for numbers in at:
        call = f"{_name(noise)}.{name}({', '.join(f'{number:g}' for number in numbers)})"
        expected = f"expected a number of at least {least:g}" + ("" if most == inf else f" and at most {most:g}")
        try:
            value: Any = getattr(noise, name)(*numbers)
        except (TypeError, AttributeError, NameError) as error:  # a mistake in the code
            raise SettingError(f"noise: {call}: {error}; {expected}") from error
        except Exception:  # such as SettingError, NotImplementedError, or an overflow at a large eps
            continue
        if not _is_number(value):
            raise SettingError(f"noise: {call} gives {_kind(value)}; {expected}, as float(...)")
        found[call] = float(value)
        if not least - ROUNDING <= found[call] <= most + ROUNDING:  # or NaN
            raise SettingError(f"noise: {call} gives {found[call]:.6g}; {expected}")
    return found


def _require_order(name: str, values: dict[str, float], sign: int) -> None:
    """Raise SettingError if the values of a bound ever move against the sign: 1 for up, -1 for down."""
    for (one, before), (other, after) in pairwise(values.items()):
        if sign * after < sign * before - ROUNDING:
            raise SettingError(
                f"noise: {one} gives {before:.6g} and {other} {after:.6g}; expected {name} never to "
                f"{'in' if sign < 0 else 'de'}crease with {WITH.get(name, 'eps')}"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _name(noise: Noise) -> str:
    return type(noise).__name__
