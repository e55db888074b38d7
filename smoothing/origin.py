"""What draws were made with. Draws of another f, noise or metric say nothing about a certifier's own function."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smoothing.as_dict import AsDict
from smoothing.base_function import FrozenFunction
from smoothing.errors import SettingError
from smoothing.fast_copy import closure_of
from smoothing.fixed import Fixed, settings_of
from smoothing.metrics import Metric
from smoothing.noise import Noise

PLAIN = bool | int | float | complex | str | bytes | None


class Origin:
    """The f, noise and metric of a certifier, as they were when it was made.

    Noises and metrics are the same if their class, settings and `Noise.state` are equal. Networks are the same if their
    classes, numbers, texts, parameters and buffers are equal: a copy is, and so is another load of the same weights.
    Other functions are the same if they are the same object, or have the same code and the same objects in its
    variables. After pickling, nothing is known of such a function, because it may not be picklable itself.

    Args:
        f: the base function.
        noise: the smoothing distribution.
        metric: distance in the output space; None if there is none.

    Attributes:
        noise: name and hash of the noise.
        metric: name and hash of the metric; empty without one.
        f: precision and, of a network, name and hash.
        function: f itself, if it is not a network; None if it is one, or if nothing is known.

    Examples:
        >>> from smoothing import L2, Gaussian
        >>> origin = Origin(FrozenFunction(nn.ReLU()), Gaussian(sigma=0.5), L2())
        >>> origin.noise.split("#")[0], origin.f.split("#")[0]
        ('Gaussian(sigma=0.5) ', 'float32 ReLU ')
    """

    function: Any

    def __init__(self, f: FrozenFunction, noise: Noise, metric: Metric | None = None) -> None:
        self.noise = _named(noise)
        self.metric = "" if metric is None else _named(metric)
        self.f, self.function = f"{f.precision} function", f.f
        if isinstance(f.f, nn.Module):
            self.f, self.function = f"{f.precision} {type(f.f).__name__} #{_hash(f.f)}", None

    def require(self, draws: object) -> None:
        """Raise SettingError if draws are of another origin. Those that do not say theirs, such as stored ones, pass.

        Args:
            draws: what a certifier drew; `Draws`, or anything.
        """
        theirs: Origin | None = getattr(draws, "origin", None)
        if theirs is None or theirs is self:
            return
        for what, own, found in (
            ("noise", self.noise, theirs.noise),
            ("metric", self.metric, theirs.metric),
            ("base function", self.f, theirs.f),
        ):
            if own != found:
                names = own.partition(" #")[0], found.partition(" #")[0]
                own, found = names if names[0] != names[1] else (own, found)  # hashes only tell equal names apart
                raise SettingError(f"draws: expected those of the {what} {own}, got those of {found}; draw again")
        if None not in (self.function, theirs.function) and not _same(self.function, theirs.function):
            raise SettingError(
                "draws: expected those of this certifier's base function, got those of another; draw again, or make "
                "both certifiers of one and the same function"
            )

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"function": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Origin":
        return self


@dataclass(frozen=True, eq=False)
class Draws(AsDict):
    """Base class of what is drawn at one input.

    Its arrays are read-only, also in a copy: a change in place, such as for a plot, would change later certificates.

    Attributes:
        origin: what was drawn from, see `Origin`; None if it is not known, as for stored draws: run.json says it.
    """

    origin: Origin | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray):
                shown = value.view()  # an array of the caller's stays as it is
                shown.flags.writeable = False
                object.__setattr__(self, name, shown)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, see `AsDict.as_dict`, without the origin."""
        return {name: value for name, value in super().as_dict().items() if name != "origin"}


def require_sorted(name: str, values: NDArray[Any]) -> None:
    """Raise SettingError unless an array increases along its first axis, with NaN last. Bounds are read by rank."""
    one, other = values[:-1], values[1:]
    if not ((one <= other) | np.isnan(other)).all():
        raise SettingError(f"draws: expected sorted {name}, as np.sort({name}, axis=0) gives, got others")


def _same(f: Any, other: Any) -> bool:
    """Whether two functions are known to compute the same. Methods and local functions are made anew each time."""
    if isinstance(f, FunctionType) and isinstance(other, FunctionType):
        one, two = _variables(f), _variables(other)
        same = len(one) == len(two) and all(a is b or _equal(a, b) for a, b in zip(one, two, strict=True))
        return same and _code(f.__code__) == _code(other.__code__)
    return f is other or (isinstance(f, MethodType) and f == other)


def _equal(a: Any, b: Any) -> bool:
    """Whether two numbers or texts are equal."""
    return isinstance(a, PLAIN) and type(a) is type(b) and repr(a) == repr(b)


def _variables(f: FunctionType) -> list[Any]:
    """The objects that the code of a function refers to: its globals, and values of its closure and defaults."""
    return [f.__globals__, *closure_of(f), *(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]


def _code(code: CodeType) -> tuple[Any, ...]:
    """What code does, wherever in a file it is."""
    constants = [_code(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return code.co_code, code.co_names, code.co_freevars, *constants


def _named(made: Noise | Metric) -> str:
    """Name and hash of a noise or a metric."""
    return f"{made} #{_hash(made)}"


def _hash(value: Any) -> str:
    found = hashlib.sha256()
    _add(value, found.update)
    return found.hexdigest()[:16]


def _add(value: Any, update: Callable[[bytes], None]) -> None:
    """Add to a hash: numbers, texts, tensors, arrays, networks, noises, metrics, and collections of them.

    Of any other object, only the name of its class is added.
    """
    if isinstance(value, np.generic):
        value = value.item()
    update(f"{type(value).__qualname__} ".encode())
    if isinstance(value, PLAIN):
        update(f"{value!r} ".encode())
    elif isinstance(value, Tensor | np.ndarray):
        update(f"{tuple(value.shape)} {value.dtype} ".encode())
        update(_bytes(torch.as_tensor(value)))
    elif isinstance(value, dict):
        _add(list(value.items()), update)
    elif isinstance(value, list | tuple):
        update(f"{len(value)} ".encode())
        for each in value:
            _add(each, update)
    elif isinstance(value, nn.Module):
        for name, module in value.named_modules():
            _add([name, type(module).__qualname__, _numbers(module)], update)
            _add([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)], update)
    elif isinstance(value, Fixed):
        _add([settings_of(value), value.state() if isinstance(value, Noise) else {}], update)


def _numbers(module: nn.Module) -> dict[str, Any]:
    """The numbers and texts among a module's attributes, such as a slope."""
    known = {name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"}
    return {name: value for name, value in sorted(known.items()) if isinstance(value, PLAIN | tuple)}


def _bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor; nothing if it keeps them in a way of its own, as a quantised tensor does."""
    try:
        flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        return flat.view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError, NotImplementedError):
        return b""
