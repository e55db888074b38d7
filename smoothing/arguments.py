"""What a caller passes: numbers and instances, checked and made plain; or one line that says what was expected."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Set
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from smoothing.errors import SettingError

T = TypeVar("T")


def number(name: str, value: object) -> float:
    """A real number as a float: a number of Python's or NumPy's, or an array or tensor that holds just one.

    Raises:
        SettingError: it is something else. NaN and infinities are numbers here; the caller knows their range.
    """
    if isinstance(value, np.ndarray | Tensor):
        if value.ndim or "complex" in str(value.dtype) or "bool" in str(value.dtype):
            raise SettingError(f"{name}: expected one number, got {_described(value)}")
        return float(value.item())
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise SettingError(f"{name}: expected a number, got {_described(value)}")
    return float(value)


def whole_number(name: str, value: object, least: int = 0) -> int:
    """An integer; a float such as 1e5 is one, too. Raises SettingError: it is none, or below `least`."""
    found: Any = value.item() if isinstance(value, np.ndarray | Tensor) and not value.ndim else value
    if isinstance(found, bool) or not isinstance(found, Integral):  # an integer may be too large for a float
        found = number(name, value)
        if not isfinite(found) or found != int(found):
            raise SettingError(f"{name}: expected a whole number, got {_described(value)}")
    if found < least:
        raise SettingError(f"{name}: expected at least {least}, got {int(found)}")
    return int(found)


def probability(name: str, value: object) -> float:
    """A number strictly between 0 and 1. Raises SettingError."""
    found = number(name, value)
    if not 0 < found < 1:
        percent = f"; {found:g} % is {found / 100:g}" if 1 <= found < 100 else ""
        raise SettingError(f"{name}: expected a probability strictly between 0 and 1, got {found:g}{percent}")
    return found


def input_radii(eps: object) -> list[float]:
    """One or more input radii as floats of at least 0.

    Args:
        eps: a number, or numbers in order: a list, tuple, range, generator, array or tensor.

    Raises:
        SettingError: it is something else, has no numbers, or one that is negative or not finite.
    """
    if not several(eps):
        return [_radius(eps)]
    assert isinstance(eps, Iterable)
    radii = [_radius(value) for value in eps]
    if not radii:
        raise SettingError("eps: expected at least one number, as 0.1 or [0.1, 0.2], got none")
    return radii


def several(eps: object) -> bool:
    """Whether eps are numbers in order, and not one number."""
    if isinstance(eps, np.ndarray | Tensor):
        return eps.ndim > 0
    return isinstance(eps, Iterable) and not isinstance(eps, str | bytes | Mapping | Set)


def instance(name: str, value: T, of: type, example: str) -> T:
    """The value, if it is an instance of the class `of`.

    Args:
        name: of the argument.
        value: what was passed for it.
        of: the class.
        example: how to write such an instance.

    Raises:
        SettingError: it is none, or is a class itself.
    """
    if not isinstance(value, of):
        found = f"the class {value.__name__}" if inspect.isclass(value) else _described(value)
        raise SettingError(f"{name}: expected an instance of {of.__name__}, such as {example}, got {found}")
    return value


def function(f: Any) -> Callable[[Tensor], Tensor]:
    """F, if it can be called on a batch. Raises SettingError, with what to pass, where it is a class, or None."""
    if inspect.isclass(f):
        raise SettingError(f"f: expected a network or a function, got the class {f.__name__}; pass {f.__name__}(...)")
    if isinstance(f, Mapping):
        raise SettingError(f"f: expected a network, got {type(f).__name__}; load weights with model.load_state_dict")
    if not callable(f):
        raise SettingError(
            f"f: expected a network or a function, from inputs (b, ...) to outputs (b, ...), got {_described(f)}"
        )
    if isinstance(f, nn.Module) and any(t.is_meta for t in (*f.parameters(), *f.buffers())):
        raise SettingError("f: some of its weights are on the meta device, so they have no values; load them first")
    called: Callable[[Tensor], Tensor] = f
    return called


def _radius(value: object) -> float:
    found = number("eps", value)
    if not 0 <= found < float("inf"):
        raise SettingError(f"eps: expected a number of at least 0, got {found:g}")
    return found


def _described(value: object) -> str:
    """A value in a few words: its shape where it has one, its type where it is long."""
    if isinstance(value, np.ndarray | Tensor):
        return f"{type(value).__name__} of shape {tuple(value.shape)}, {value.dtype}"
    if callable(value) and hasattr(value, "__name__"):
        return f"{type(value).__name__} {value.__name__}"
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else type(value).__name__
