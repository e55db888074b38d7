"""Checks of arguments. Each function returns a plain value, or raises SettingError with what was expected."""

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from smoothing.errors import SettingError, SmoothingWarning

T = TypeVar("T")


def number(name: str, value: object) -> float:
    """A real number as a float: a Python or NumPy number, or an array or tensor of shape ().

    NaN and infinities are accepted; the caller checks the range.

    Raises:
        SettingError: the value is not a real number.

    Examples:
        >>> number("alpha", np.array(0.5))
        0.5
        >>> number("alpha", "0.5")
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: alpha: expected a number, got '0.5'
    """
    if isinstance(value, np.ndarray | Tensor):
        if value.ndim or "complex" in str(value.dtype) or "bool" in str(value.dtype):
            raise SettingError(f"{name}: expected one number, got {_described(value)}")
        return float(value.item())
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise SettingError(f"{name}: expected a number, got {_described(value)}")
    return float(value)


def whole_number(name: str, value: object, least: int = 0) -> int:
    """A whole number as an int; a float such as 1e5 is accepted. Raises SettingError otherwise, or if below `least`.

    Examples:
        >>> whole_number("n", 1e5)
        100000
        >>> whole_number("n", 0, least=1)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: n: expected at least 1, got 0
    """
    found: Any = value.item() if isinstance(value, np.ndarray | Tensor) and not value.ndim else value
    if isinstance(found, bool) or not isinstance(found, Integral):  # an integer may be too large for a float
        found = number(name, value)
        if not isfinite(found) or found != int(found):
            raise SettingError(f"{name}: expected a whole number, got {_described(value)}")
    if found < least:
        raise SettingError(f"{name}: expected at least {least}, got {int(found)}")
    return int(found)


def sizes(name: str, value: object) -> tuple[int, ...]:
    """A shape as a tuple of ints of at least 1. Raises SettingError if it is none.

    Examples:
        >>> sizes("shape", np.array([1, 28, 28], dtype=np.uint8))
        (1, 28, 28)
    """
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise SettingError(f"{name}: expected a shape, such as (3, 32, 32), got {_described(value)}")
    return tuple(whole_number(name, size, 1) for size in value)


def warn_if_channels_last(shape: tuple[int, ...]) -> None:
    """Warn if a shape looks like (H, W, channels): channels come first, and all else counts as pixels."""
    if len(shape) == 3 and shape[-1] in (1, 3, 4) and shape[0] > 4:
        warnings.warn(
            f"noise.shape: {shape} is read as {shape[0]} channels of {shape[1]} x {shape[2]} pixels; channels come "
            f"first, as ({shape[2]}, {shape[0]}, {shape[1]})",
            SmoothingWarning,
            stacklevel=4,
        )


def probability(name: str, value: object) -> float:
    """A number strictly between 0 and 1 as a float. Raises SettingError otherwise.

    Examples:
        >>> probability("alpha", 5)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: alpha: expected a probability strictly between 0 and 1, got 5; 5 % is 0.05
    """
    found = number(name, value)
    if not 0 < found < 1:
        percent = f"; {found:g} % is {found / 100:g}" if 1 <= found < 100 else ""
        raise SettingError(f"{name}: expected a probability strictly between 0 and 1, got {found:g}{percent}")
    return found


def input_radii(eps: object) -> list[float]:
    """One or more input radii as a list of floats of at least 0.

    Args:
        eps: a number, or several in a list, tuple, range, generator, array or tensor; None for none.

    Raises:
        SettingError: eps is something else, is empty, or contains a number that is negative or not finite.

    Examples:
        >>> input_radii(0.5), input_radii([0.1, 0.2])
        ([0.5], [0.1, 0.2])
    """
    eps = () if eps is None else eps
    if not several(eps):
        return [_radius(eps)]
    assert isinstance(eps, Iterable)
    radii = [_radius(value) for value in eps]
    if not radii:
        raise SettingError("eps: expected at least one number, as 0.1 or [0.1, 0.2], got none")
    return radii


def several(eps: object) -> bool:
    """Whether eps is a sequence of numbers and not one number."""
    if isinstance(eps, np.ndarray | Tensor):
        return eps.ndim > 0
    return isinstance(eps, Iterable) and not isinstance(eps, str | bytes | Mapping | Set)


def instance(name: str, value: T, of: type, example: str) -> T:
    """The value itself, if it is an instance of the class `of`.

    Args:
        name: of the argument.
        value: of the argument.
        of: the expected class.
        example: code for such an instance, for the message.

    Raises:
        SettingError: it is not an instance, or it is a class.
    """
    if not isinstance(value, of):
        found = f"the class {value.__name__}" if inspect.isclass(value) else _described(value)
        raise SettingError(f"{name}: expected an instance of {of.__name__}, such as {example}, got {found}")
    return value


def function(f: Any) -> Callable[[Tensor], Tensor]:
    """The base function f itself, if it can be called on a batch. Raises SettingError with what to pass otherwise."""
    if inspect.isclass(f):
        raise SettingError(f"f: expected a network or a function, got the class {f.__name__}; pass {f.__name__}(...)")
    if isinstance(f, Mapping):
        raise SettingError(f"f: expected a network, got {type(f).__name__}; load weights with model.load_state_dict")
    if not callable(f):
        raise SettingError(
            f"f: expected a network or a function, from inputs (b, ...) to outputs (b, ...), got {_described(f)}"
        )
    if isinstance(f, nn.Module) and any(t.is_meta for t in (*f.parameters(), *f.buffers())):
        raise SettingError("f: expected loaded weights, got some on the meta device, without values; load them first")
    called: Callable[[Tensor], Tensor] = f
    return called


def _radius(value: object) -> float:
    found = number("eps", value)
    if not 0 <= found < float("inf"):
        raise SettingError(f"eps: expected a finite number of at least 0, got {found:g}")
    return found


def _described(value: object) -> str:
    """A value in a few words: its shape if it has one, its type if it is long."""
    if isinstance(value, np.ndarray | Tensor):
        return f"{type(value).__name__} of shape {tuple(value.shape)}, {value.dtype}"
    if callable(value) and hasattr(value, "__name__"):
        return f"{type(value).__name__} {value.__name__}"
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else type(value).__name__
