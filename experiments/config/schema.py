"""The schemas that Hydra checks keys against, derived from the settings classes, and the resolvers for YAML files."""

import dataclasses
import typing
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from experiments.config.settings import Group, PlotSettings, Settings
from smoothing import SettingError


@dataclass(frozen=True)
class Key:
    """A key of a settings class.

    Attributes:
        kind: the type of its values, null aside.
        optional: whether it may be null.
    """

    kind: Any
    optional: bool


def keys(settings: type) -> dict[str, Key]:
    """All keys of a settings class, by name."""
    found = {}
    for name, hint in typing.get_type_hints(settings).items():
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        optional = type(None) in typing.get_args(hint)
        found[name] = Key(kinds[0] if optional else hint, optional)
    return found


def groups(settings: type) -> list[str]:
    """The keys that are groups."""
    return [name for name, key in keys(settings).items() if key.kind is Group]


def schema(settings: type) -> DictConfig:
    """A settings class as Hydra's schema. A group may be any dictionary here; `check` compares it with its class."""
    fields: list[tuple[str, Any, Any]] = []
    known = keys(settings)
    for f in dataclasses.fields(settings):
        key = known[f.name]
        kind: Any = dict[str, Any] if key.kind is Group else key.kind
        default = {} if key.kind is Group and not key.optional else _default(f)
        fields.append((f.name, kind | None if key.optional else kind, field(default_factory=partial(_same, default))))
    node: DictConfig = OmegaConf.structured(make_dataclass(settings.__name__, fields))
    for name, key in known.items():
        if key.kind is Group:
            node._get_node(name)._set_flag("struct", False)  # type: ignore[union-attr]  # `check` explains unknown keys better
        elif dataclasses.is_dataclass(key.kind):
            node._get_node(name)._set_flag("readonly", False)  # type: ignore[union-attr]  # which a frozen class sets
    return node


def register() -> None:
    """Register the schemas and resolvers with Hydra. Call this before composing a configuration."""
    store = ConfigStore.instance()
    store.store(name="certify_schema", node=schema(Settings))
    store.store(name="plot_schema", node=schema(PlotSettings))
    OmegaConf.register_new_resolver("explained", _explained, replace=True)
    OmegaConf.register_new_resolver("at", _at, replace=True)
    OmegaConf.register_new_resolver("times", lambda factor, value: factor * value, replace=True)


def _at(key: float, values: dict[float, Any]) -> Any:
    """The value for a key, such as a noise level, in a YAML file that knows some."""
    if key not in values:
        known = ", ".join(f"{each:g}" for each in values)
        raise SettingError(
            f"nothing is known for {key:g}, only for {known}; type a value on the command line, as key=value"
        )
    return values[key]


def _explained(script: str, *, _root_: DictConfig) -> str:
    """The text of --help, escaped because Hydra treats it as a template."""
    from experiments.config import help  # which asks the command line, and that the composed configuration

    return help.text(script, _root_).replace("$", "$$")


def _default(f: "dataclasses.Field[Any]") -> Any:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return MISSING if f.default is dataclasses.MISSING else f.default


def _same(default: Any) -> Any:
    return default
