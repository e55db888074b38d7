"""What Hydra knows of the keys, derived from the classes of settings, and what its YAML files may compute."""

import dataclasses
import typing
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from experiments.config.settings import Group, PlotSettings, Settings


@dataclass(frozen=True)
class Key:
    """A key of a class of settings.

    Attributes:
        kind: its type; that of the values for a key that may be null.
        optional: whether it may be null.
    """

    kind: Any
    optional: bool


def keys(settings: type) -> dict[str, Key]:
    """All keys of a class of settings, by name."""
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
    """A class of settings as Hydra takes it: a group is any dictionary until `check` compares it with its class."""
    fields: list[tuple[str, Any, Any]] = []
    for f in dataclasses.fields(settings):
        key = keys(settings)[f.name]
        kind: Any = dict[str, Any] if key.kind is Group else key.kind
        default = {} if key.kind is Group and not key.optional else _default(f)
        fields.append((f.name, kind | None if key.optional else kind, field(default_factory=partial(_same, default))))
    node: DictConfig = OmegaConf.structured(make_dataclass(settings.__name__, fields))
    for name, key in keys(settings).items():
        if key.kind is Group:
            node._get_node(name)._set_flag("struct", False)  # type: ignore[union-attr]  # `check` says more of a mistyped key
        elif dataclasses.is_dataclass(key.kind):
            node._get_node(name)._set_flag("readonly", False)  # type: ignore[union-attr]  # as a frozen class would have it
    return node


def register() -> None:
    """Make the schemas and resolvers known to Hydra; call before composing."""
    store = ConfigStore.instance()
    store.store(name="certify_schema", node=schema(Settings))
    store.store(name="plot_schema", node=schema(PlotSettings))
    OmegaConf.register_new_resolver("explained", _explained, replace=True)
    OmegaConf.register_new_resolver("times", lambda factor, value: factor * value, replace=True)


def _explained(script: str, *, _root_: DictConfig) -> str:
    """What --help prints, as the template that Hydra takes it for."""
    from experiments.config import help  # which asks the command line, and that the composed configuration

    return help.text(script, _root_).replace("$", "$$")


def _default(f: "dataclasses.Field[Any]") -> Any:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return MISSING if f.default is dataclasses.MISSING else f.default


def _same(default: Any) -> Any:
    return default
