"""Find the class or function that a `_target_` names, read its arguments, and call it."""

import dataclasses
import difflib
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from omegaconf import MISSING, DictConfig, OmegaConf

from experiments.config.aliases import ALIASES
from smoothing import SettingError
from smoothing.user_code import LIBRARIES, first_line, innermost

ROOT = Path(__file__).parents[2]


class _NotThereError(Exception):
    """A dotted name that does not exist; the message says which part is missing."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of a class or function.

    Attributes:
        schema: the arguments, their types and defaults, as OmegaConf's structured configuration.
        choices: the allowed values of each argument of a `Literal` type.
        own: arguments whose default a configuration cannot hold; omitted from the call unless set.
        others: whether any other key is accepted (**kwargs).
    """

    schema: DictConfig
    choices: dict[str, tuple[Any, ...]]
    own: set[str]
    others: bool

    @property
    def known(self) -> list[str]:
        return list(map(str, self.schema))


def located(target: str, group: str = "") -> Callable[..., Any]:
    """The class or function of a dotted name.

    Args:
        target: such as my_models.Net or torchvision.models.resnet18, or an old name of the suite (`ALIASES`).
        group: the group that names it, for messages.

    Raises:
        SettingError: it does not exist, or importing it fails; the message then has the error and its line.
    """
    key = f"{group}._target_" if group else "_target_"
    try:
        thing = _followed(present_name(target))
    except _NotThereError as error:
        raise SettingError(f"{key}: no class {target or repr(target)} ({error}){_hidden(target)}") from error
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"{key}: importing {target} failed: {type(error).__name__}: {first_line(error)}{_where(error)}"
        ) from error
    if not callable(thing):
        raise SettingError(f"{key}: expected a class or a function, got {target}, a {type(thing).__name__}")
    return thing


def parameters(target: str, group: str = "") -> Mapping[str, inspect.Parameter]:
    """The arguments by name. `**options: Unpack[SomeTypedDict]` counts as the keys of that TypedDict.

    Raises:
        SettingError: the class or function does not exist, or Python cannot read its signature.
    """
    thing = located(target, group)
    try:
        return _unpacked(inspect.signature(thing).parameters, _hints(thing))
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"{group}._target_: the signature of {target} cannot be read (it may be compiled); name a function of your "
            "own that calls it"
        ) from error


def _unpacked(found: Mapping[str, inspect.Parameter], hints: dict[str, Any]) -> dict[str, inspect.Parameter]:
    """The arguments, with `**options: Unpack[SomeTypedDict]` replaced by the keys of that TypedDict."""
    every: dict[str, inspect.Parameter] = {}
    for name, parameter in found.items():
        hint = hints.get(name)
        if parameter.kind is parameter.VAR_KEYWORD and typing.get_origin(hint) is typing.Unpack:
            (options,) = typing.get_args(hint)
            every |= {key: inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY) for key in options.__annotations__}
        else:
            every[name] = parameter
    return every


def arguments(target: str, given: tuple[str, ...], group: str) -> Arguments:
    """The arguments of a class or function except those that the run passes. Raises SettingError as `parameters`."""
    thing = located(target, group)
    read = _arguments if isinstance(thing, Hashable) else _arguments.__wrapped__
    return read(thing, target, given, group)


@lru_cache(maxsize=256)
def _arguments(thing: Any, target: str, given: tuple[str, ...], group: str) -> Arguments:
    """`arguments`, once for each class: asking OmegaConf whether it accepts a type and a default takes milliseconds."""
    found, hints = parameters(target, group), _hints(thing)
    kinds = [parameter.kind for parameter in found.values()]
    fields: list[tuple[str, Any, Any]] = []
    choices, own = {}, set()
    for name, parameter in found.items():
        if name in given or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint, default = hints.get(name, Any), parameter.default
        if typing.get_origin(hint) is Literal:
            choices[name] = typing.get_args(hint)
        default = MISSING if default is parameter.empty else default
        kind = next((kind for kind in (hint, Any) if _holds(kind, default)), None)
        if kind is None:
            own.add(name)
            kind, default = Any, None
        fields.append((name, kind, field(default_factory=partial(_same, default))))
    schema: DictConfig = OmegaConf.structured(make_dataclass("Arguments", fields))
    return Arguments(schema, choices, own, inspect.Parameter.VAR_KEYWORD in kinds)


def called(target: str, values: dict[str, Any]) -> Any:
    """Call a class or function. Each argument is first converted to its declared type.

    Raises:
        SettingError: an argument is missing or not expected, or the class lacks a method of its base class.
    """
    thing, found = located(target), parameters(target)
    if inspect.isabstract(thing):
        raise SettingError(f"{target}: {_lacks(thing)}")
    hints = _hints(thing)
    values = {name: _as(hints.get(name), value) for name, value in values.items()}
    first = [name for name, p in found.items() if p.kind is p.POSITIONAL_ONLY and name in values]
    positional = [values.pop(name) for name in first]
    try:
        inspect.signature(thing).bind(*positional, **values)
    except TypeError as error:
        raise SettingError(f"{target}: {error}") from error
    return thing(*positional, **values)


def _lacks(thing: Any) -> str:
    """What an abstract class does not define, and the classes that declare it."""
    missing = sorted(thing.__abstractmethods__)
    bases = [next(base for base in reversed(thing.__mro__) if name in vars(base)) for name in missing]
    places = dict.fromkeys(f"{base.__module__}.{base.__qualname__}" for base in bases)
    return f"the class must define {', '.join(missing)}; see {', '.join(places)}"


def present_name(target: str) -> str:
    """A dotted name with its longest prefix in `ALIASES` replaced. Most names are unchanged."""
    parts = target.split(".")
    for k in range(len(parts), 0, -1):
        if (first := ".".join(parts[:k])) in ALIASES:
            return ".".join([ALIASES[first], *parts[k:]])
    return target


def _followed(target: str) -> Any:
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        raise _NotThereError("expected a dotted name, such as my_models.Net")
    thing: Any = _imported(parts[0], target)
    for k, part in enumerate(parts[1:], 2):
        if hasattr(thing, part):
            thing = getattr(thing, part)
        elif isinstance(thing, ModuleType) and hasattr(thing, "__path__"):
            thing = _imported(".".join(parts[:k]), target)
        else:
            close = difflib.get_close_matches(part, [name for name in dir(thing) if not name.startswith("_")], n=1)
            near = f"; did you mean {'.'.join([*parts[: k - 1], *close])}?" if close else ""
            raise _NotThereError(f"{'.'.join(parts[: k - 1])} has no {part}{near}")
    return thing


def _imported(name: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{target}.".startswith(f"{error.name}."):
            raise _NotThereError(f"no module {error.name}") from error
        raise


def _hidden(target: str) -> str:
    """End of a message: what to do if the suite's module hides the user's, or the user's is not on Python's path."""
    top = target.partition(".")[0]
    if not top:
        return ""
    places = dict.fromkeys(Path(entry or ".").resolve() for entry in (*sys.path, "."))
    candidates = [path for place in places if place != ROOT for path in (place / f"{top}.py", place / top)]
    own = next((path for path in candidates if path.is_file() or any(path.glob("*.py"))), None)
    if own is None and find_spec(top) is None:
        return f". There is no {top} here or on Python's path: run from its folder, or set PYTHONPATH to it"
    if own is None:
        return ""
    if (ROOT / top).is_dir() or (ROOT / f"{top}.py").is_file():
        return (
            f". The suite's own {top} hides '{own}': move yours into a folder of another name, "
            f"such as mine/{own.name}, and write _target_: mine.{target}"
        )
    if own.parent == Path.cwd() and own.parent not in {Path(entry or ".").resolve() for entry in sys.path}:
        return f". '{own.name}' is in this folder, which Python does not search; set PYTHONPATH=."
    return ""


def _where(error: BaseException) -> str:
    """The line that raised an error during import: the innermost line of the user's code, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    importing = (__file__, str(importlib.__file__))
    frame = innermost(error, (*importing, *LIBRARIES)) or innermost(error, importing)
    return f" ({frame.filename}:{frame.lineno})" if frame else ""


def _hints(thing: Any) -> dict[str, Any]:
    """Types of arguments by name, without those that cannot be resolved."""
    function = getattr(thing, "__init__", thing) if isinstance(thing, type) else thing
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that is imported for type checkers only, a callable without annotations
        found = getattr(function, "__annotations__", {})
        return {name: hint for name, hint in found.items() if not isinstance(hint, str)}


def _same(default: Any) -> Any:
    return default


def _holds(kind: Any, default: Any) -> bool:
    """Whether OmegaConf supports an argument of this type and default."""
    try:
        OmegaConf.structured(make_dataclass("One", [("it", kind, field(default_factory=partial(_same, default)))]))
    except Exception:  # OmegaConf's own errors, and whatever a strange type raises
        return False
    return True


def _as(hint: Any, value: Any) -> Any:
    """A configuration's value converted to the declared type of its argument, for types that configurations lack."""
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if isinstance(kind, type)]
    for kind in kinds if isinstance(value, str | dict) else ():
        if isinstance(value, str) and issubclass(kind, Path):
            return kind(value)
        if isinstance(value, str) and issubclass(kind, Enum) and value in kind.__members__:
            return kind[value]
        if isinstance(value, dict) and dataclasses.is_dataclass(kind):
            return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), value))
    return value
