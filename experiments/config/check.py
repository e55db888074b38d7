"""From a composed Hydra configuration to checked settings.

A group consists of `_target_` and the arguments of that class. The signature of the class is the schema of the group,
so a new metric, noise, model or data set is one class and one YAML file. Unknown keys and values of the wrong type are
refused, on the command line and in YAML files.
"""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.config.command_line import key_of
from experiments.config.left_out import left_out, typed_words, without_others
from experiments.config.schema import groups, keys
from experiments.config.settings import Figures, Folder, Group, PlotSettings, Settings, Shard
from experiments.config.targets import arguments, parameters
from experiments.config.wording import worded
from smoothing import SettingError

GIVEN = {  # arguments that the run passes, so a group must not set them
    "certifier": ("f", "noise", "metric", "num_classes", "seed", "batch_size", "precision", "compiled", "on_samples"),
    "model": ("num_classes", "in_channels", "mean", "std", "shape", "class_names"),
    "noise": ("levels", "shape"),
    "logger": ("config",),
}
T = TypeVar("T", Settings, PlotSettings)


def checked(cfg: DictConfig, kind: type[T], typed: Sequence[str] | None = None) -> T:
    """The checked settings of a configuration, with all defaults filled in.

    Args:
        cfg: a composed configuration.
        kind: Settings or PlotSettings.
        typed: the overrides on the command line; those of the current job if not given. An experiment's settings for
            another choice of a group than a typed one are left out, and named on stderr.

    Raises:
        SettingError: a key is unknown, or a value is missing or of the wrong type.
    """
    known = keys(kind)
    for name in map(str, cfg):
        if name not in known:
            raise SettingError(f"{name}: no such key{suggestion(name, list(known))}")
    cfg, left = without_others(cfg, typed_words() if typed is None else typed, groups(kind), GIVEN)
    if left:
        print(left_out(left), file=sys.stderr)
    try:
        values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        _require_values(cfg, kind)
        where = str(error.full_key or "configuration")
        raise SettingError(f"{where}: {worded(error, where)}") from error
    values = _from_home(values)
    _refuse_huge_integers(values)
    _require_folder_name(values.get("name"))
    _require_seed(values.get("seed", 0))
    for group in groups(kind):
        if values.get(group):
            values[group] = checked_group(group, values[group])
        elif known[group].optional:
            values[group] = None
        else:
            raise SettingError(
                f"{group}: expected a choice, got none; --help lists the choices; or set a class of your own, "
                f"{group}._target_="
            )
    for name, key in known.items():
        if key.kind in (Figures, Folder, Shard):
            values[name] = key.kind(**values[name])
    return kind(**values)


def checked_group(group: str, node: dict[str, Any]) -> Group:
    """A group's class and all its arguments, with defaults filled in and types checked. Raises SettingError."""
    if "_target_" not in node:
        raise SettingError(f"{group}: expected _target_, the class to use, got none")
    target = node["_target_"]
    if not isinstance(target, str):
        raise SettingError(f"{group}._target_: expected a dotted name, such as my_models.Net, got {target}")
    taken = arguments(target, GIVEN.get(group, ()), group)
    written = {key: value for key, value in node.items() if key != "_target_"}
    if own := [key for key in written if key in GIVEN.get(group, ()) and key in parameters(target, group)]:
        giver = "data set" if group in ("model", "noise") else "run"
        raise SettingError(f"{group}.{own[0]}: the {giver} provides it; leave it out")
    if unknown := [] if taken.others else [f"{group}.{key}" for key in written if key not in taken.known]:
        near = suggestion(unknown[0].partition(".")[2], taken.known, group)
        raise SettingError(f"{unknown[0]}: no such key{near}{_swept(unknown[0]) or _of_another_class(group, unknown)}")
    declared = {key: value for key, value in written.items() if key in taken.known}
    try:
        merged = OmegaConf.merge(taken.schema, declared)
        values: dict[str, Any] = OmegaConf.to_container(merged, throw_on_missing=True, enum_to_str=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        name = f"{group}.{error.full_key or ''}"
        raise SettingError(f"{name}: {worded(error, name)}") from error
    for key, choices in taken.choices.items():
        if key in declared and values[key] not in choices:
            raise SettingError(f"{group}.{key}: expected one of {', '.join(map(str, choices))}, got {values[key]}")
    values = {key: value for key, value in values.items() if key in declared or key not in taken.own}
    others = {key: value for key, value in written.items() if key not in values}
    return Group(target, _without_paths(values) | others)


def suggestion(key: str, known: Sequence[str], below: str = "") -> str:
    """End of a message: the known key that is closest to `key`, or all known keys if none is close."""
    close = difflib.get_close_matches(key, known, n=1)
    prefix = f"{below}." if below else ""
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known: {', '.join(known) or 'none'}"


def _require_values(cfg: DictConfig, kind: type) -> None:
    """Raises SettingError if a group's value is invalid from which others are computed, such as eps from sigma."""
    for group in groups(kind):
        try:
            node: Any = OmegaConf.to_container(cfg[group], resolve=True) if cfg.get(group) else None
        except OmegaConfBaseException:
            continue
        if isinstance(node, dict) and "_target_" in node:
            checked_group(group, node)


def _from_home(value: Any) -> Any:
    """A value with the home folder instead of ~ in its paths: no shell replaces it behind key= or in a file."""
    if isinstance(value, dict):
        return {key: _from_home(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_from_home(each) for each in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def _without_paths(value: Any) -> Any:
    """A value with its paths converted to text, as in run.json."""
    if isinstance(value, dict):
        return {key: _without_paths(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_paths(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _refuse_huge_integers(node: Any, key: str = "") -> None:
    """Raises SettingError if an integer does not fit into 64 bits, the limit of numpy and torch."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in below:
        _refuse_huge_integers(value, f"{key}.{name}" if key else str(name))
    if isinstance(node, int) and abs(node) >= 2**63:
        raise SettingError(f"{key}: expected an integer below 2^63 in absolute value, got {node}")


def _require_folder_name(name: Any) -> None:
    """Raises SettingError if the experiment's name cannot be that of a folder in results.root."""
    if name is not None and (not str(name).strip(". ") or Path(str(name)).name != str(name)):
        raise SettingError(f"name: expected the name of a folder for the results, got {str(name)!r}")


def _require_seed(seed: int) -> None:
    """Raises SettingError if a run's seed is negative, which neither training nor noise accepts."""
    if seed < 0:
        raise SettingError(f"seed: expected at least 0, got {seed}")


def _of_another_class(group: str, unknown: Sequence[str]) -> str:
    """End of a message: unknown keys that nobody typed. They are of the choice whose `_target_` is replaced."""
    typed = {key_of(word) for word in typed_words()}
    if f"{group}._target_" not in typed or unknown[0] in typed:
        return ""
    words = " ".join(f"'~{key}'" for key in unknown if key not in typed)
    return f". It is set for another class than {group}._target_=; to remove it, type also {words}"


def _swept(key: str) -> str:
    """End of a message: the experiment's file sweeps the key, which is not the user's mistake."""
    if not HydraConfig.initialized() or key not in (HydraConfig.get().sweeper.get("params") or {}):
        return ""
    return (
        f". The experiment's file sweeps {key}; type hydra.sweeper.params=null, and the values that you want to sweep"
    )
