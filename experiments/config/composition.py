"""From a composed Hydra configuration to checked settings and objects.

A group is `_target_` and that class's own arguments; the class signature is its schema. So a new metric, noise, model
or data set is one class and one YAML file, and a mistyped key or value is refused wherever it was written.
"""

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.config.targets import arguments, called, located
from experiments.config.user_code import code_hash, file_hashes, is_suites
from smoothing import SettingError

EXPERIMENTS = Path(__file__).parents[2] / "conf" / "experiment"
GROUPS = ("dataset", "model", "noise", "certifier", "metric")
GIVEN = {  # arguments that the run passes; a group may not
    "certifier": ("f", "noise", "metric", "num_classes", "seed", "batch_size", "precision", "compiled", "on_samples"),
    "model": ("num_classes", "in_channels", "mean", "std", "shape"),
    "noise": ("levels", "shape"),
    "logger": ("config",),
}
# Where data lies is not what it is, nor do the machines that train decide what is trained.
# A noise's grid is none of its training; a run's identity has it beside the groups.
NOT_IDENTITY = ("root", "download", "unreadable", "devices", "nodes", "workers", "grid")
# Options that came later, at what was done before: they leave a run's hash as it was.
UNSAID = (("center", "best"), ("size", None), ("precision", "32-true"), ("precision", "auto"))  # precision: a trainer's
NOT_SETTINGS = ("type", "code", "files")  # of a group's description: not for a folder's name


class UnknownKeyError(SettingError):
    """A key that its group's class does not know.

    Args:
        key: with its group, as certifier.m.
        hint: what may have been meant.
    """

    def __init__(self, key: str, hint: str) -> None:
        super().__init__(f"{key}: no such key{hint}")
        self.key, self.hint = key, hint


@dataclass
class Results:
    root: str = "results"


@dataclass
class Shard:
    index: int = 0
    count: int = 1


@dataclass
class CertifyConfig:
    """Every key that certify.py and train.py know: one experiment file serves both.

    Groups are checked against the class that they name.
    """

    name: str = MISSING
    paper: str | None = None  # what an experiment says of itself, for reports: no part of a run's identity
    item: str | None = None
    shows: str | None = None
    needs: str | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    compiled: bool = False
    batch_size: int | None = None
    eps: Any = MISSING
    limit: int | None = None
    indices: list[int] | None = None
    results: Results = field(default_factory=Results)
    checkpoints: Results = field(default_factory=lambda: Results("checkpoints"))
    checkpoint: str | None = None
    allow_mismatch: bool = False
    debug: bool = False
    shard: Shard = field(default_factory=Shard)
    also: list[str] = field(default_factory=list)
    dataset: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] = field(default_factory=dict)
    certifier: dict[str, Any] = field(default_factory=dict)
    metric: dict[str, Any] | None = None
    trainer: dict[str, Any] | None = None
    logger: dict[str, Any] | None = None


@dataclass
class PlotConfig:
    """Every key that plot.py knows."""

    figure: dict[str, Any] | None = None
    table: str | None = None
    source: str | None = None
    results: Results = field(default_factory=Results)
    figures: Results = field(default_factory=lambda: Results("figures"))
    debug: bool = False
    logger: dict[str, Any] | None = None


def register() -> None:
    """Make the schemas and resolvers known to Hydra; call before composing."""
    store = ConfigStore.instance()
    for name, schema in (("certify_schema", CertifyConfig), ("plot_schema", PlotConfig)):
        node = OmegaConf.structured(schema)
        for group in {*GROUPS, "trainer", "logger", "figure"} & {*node}:
            node._get_node(group)._set_flag("struct", False)  # `checked_group` says more of a mistyped key than Hydra
        store.store(name=name, node=node)
    OmegaConf.register_new_resolver("explained", _explained, replace=True)
    OmegaConf.register_new_resolver("times", lambda factor, value: factor * value, replace=True)


def _explained(script: str, *, _root_: DictConfig) -> str:
    """What --help prints, as the template that Hydra takes it for."""
    from experiments.config import help  # which asks the command line, and that the composed configuration

    return help.text(script, _root_).replace("$", "$$")


def settings(cfg: DictConfig, schema: type) -> dict[str, Any]:
    """The configuration as plain, checked values with every default filled in.

    Raises:
        SettingError: an unknown key, a value of the wrong type or one that is still missing.
    """
    known = [f.name for f in dataclasses.fields(schema)]
    for key in map(str, cfg):
        if key not in known:
            raise SettingError(f"{key}: no such key{suggestion(key, known)}")
    try:
        plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise SettingError(f"{error.full_key or 'configuration'}: {_first_line(error)}") from error
    _refuse_huge_integers(plain)
    for group in (*GROUPS, "trainer", "logger"):
        if plain.get(group):
            try:
                plain[group] = checked_group(group, plain[group])
            except UnknownKeyError as error:
                raise UnknownKeyError(error.key, error.hint + _whose(error.key, plain.get("name"))) from error
    return plain


def build(node: dict[str, Any], **given: Any) -> Any:
    """The object that a checked group describes; `given` is what the run passes to it. Raises SettingError."""
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    return called(node["_target_"], arguments | given)


def description(node: dict[str, Any], code: bool = True) -> dict[str, Any]:
    """A checked group as part of an identity: the class's name and those arguments that results depend on.

    A class of the user's own goes by its whole dotted name, a hash of its source and the content of the files that its
    arguments name; one of the suite's by its name alone, as it does not change under a run without a commit.

    Args:
        node: the group.
        code: whether the source counts. Not for a model: its weights do, and another source is only said, see
            `RunFolder`.

    Raises:
        SettingError: the user's code is in no file.
    """
    kept = {key: value for key, value in node.items() if key not in ("_target_", *NOT_IDENTITY)}
    kept = {key: value for key, value in kept.items() if (key, value) not in UNSAID}
    target = node["_target_"]
    users = not is_suites(target)
    own = {"type": target if users else located(target).__name__} | kept
    if users and (files := file_hashes(kept)):
        own["files"] = files
    if code and (source := code_hash(node)):
        own["code"] = source
    return own


def identity(
    plain: dict[str, Any], fingerprint: str, training: dict[str, Any] | None = None, grid: int | None = None
) -> dict[str, Any]:
    """What a run's results depend on: two runs of one identity share a folder and continue each other.

    Args:
        plain: the checked configuration.
        fingerprint: the data set's.
        training: what the base function's weights came from (`base_functions.training_of`); None where it brought them.
        grid: that noisy inputs are rounded to (`Noise.grid`); None where they are not.
    """
    groups: dict[str, Any] = {g: description(plain[g], code=g != "model") for g in GROUPS if plain[g]}
    if "certifier" in groups:
        groups["certifier"].pop("match", None)  # n and m are what it came to
    if fingerprint:
        groups["dataset"]["fingerprint"] = fingerprint
    if training:
        groups["training"] = training
    if grid:
        groups["grid"] = grid
    compiled = {"compiled": True} if plain["compiled"] else {}
    return groups | {"seed": plain["seed"], "precision": plain["precision"], **compiled}


def identity_hash(identity: dict[str, Any]) -> str:
    """Of a run's identity, or of what a checkpoint was trained as: the end of its folder's name."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]


def checked_group(group: str, node: dict[str, Any]) -> dict[str, Any]:
    """A group's `_target_` and all arguments of its class, defaults filled in, types checked. Raises SettingError."""
    if "_target_" not in node:
        raise SettingError(f"{group}: has no _target_, the class to use")
    target = node["_target_"]
    if not isinstance(target, str):
        raise SettingError(f"{group}._target_: expected a dotted name, as my_models.Net, got {target}")
    taken = arguments(target, GIVEN.get(group, ()), group)
    written = {key: value for key, value in node.items() if key != "_target_"}
    for key in written:
        if key not in taken.known and not taken.others:
            raise UnknownKeyError(f"{group}.{key}", suggestion(key, taken.known, group))
    declared = {key: value for key, value in written.items() if key in taken.known}
    try:
        merged = OmegaConf.merge(OmegaConf.structured(taken.schema), declared)
        values: dict[str, Any] = OmegaConf.to_container(merged, throw_on_missing=True, enum_to_str=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise SettingError(f"{group}.{error.full_key or ''}: {_first_line(error)}") from error
    for key, choices in taken.choices.items():
        if key in declared and values[key] not in choices:
            raise SettingError(f"{group}.{key}: expected one of {', '.join(map(str, choices))}, got {values[key]}")
    values = {key: value for key, value in values.items() if key in declared or key not in taken.own}
    return {"_target_": target} | _plain(values) | {key: value for key, value in written.items() if key not in values}


def _plain(value: Any) -> Any:
    """A value with its paths as text, as run.json holds them."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _refuse_huge_integers(node: Any, key: str = "") -> None:
    """Raises SettingError where an integer is one that numpy and torch cannot hold."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in below:
        _refuse_huge_integers(value, f"{key}.{name}" if key else str(name))
    if isinstance(node, int) and abs(node) >= 2**63:
        raise SettingError(f"{key}: expected an integer of less than 2^63 in size, got {node}")


def suggestion(key: str, known: Sequence[str], below: str = "") -> str:
    """The known key that was meant, as the end of a message; all of them where none is like it."""
    close = difflib.get_close_matches(key, known, n=1)
    prefix = f"{below}." if below else ""
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known: {', '.join(known) or 'none'}"


def _whose(key: str, experiment: str | None) -> str:
    """For a key that the experiment's file sets for another class of the group: that, and which experiments do not."""
    if experiment is None or not _sets(experiment, key):
        return ""
    others = [name for name in sorted(path.stem for path in EXPERIMENTS.glob("*.yaml")) if not _sets(name, key)]
    group = key.partition(".")[0]
    return (
        f". It is experiment={experiment} that sets {key}, for another {group}; name an experiment that does not: "
        f"{', '.join(others)}"
    )


def _sets(experiment: str, key: str) -> bool:
    """Whether an experiment's file, or a preset that it names, sets a key such as "certifier.m"."""
    return _file_sets(EXPERIMENTS / f"{experiment}.yaml", key)


def _file_sets(file: Path, key: str) -> bool:
    if not file.is_file():
        return False
    node: Any = OmegaConf.load(file)
    presets = [str(each) for each in node.get("defaults", ()) if str(each).startswith("/preset/")]
    files = [EXPERIMENTS.parent / f"{preset[1:]}.yaml" for preset in presets]
    return OmegaConf.select(node, key) is not None or any(_file_sets(each, key) for each in files)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
