"""Makes a choice on the command line win over what an experiment's file sets for another choice of the same group.

`experiment=demo` sets certifier.m for its own certifier. With certifier=certify on the command line, which has no m,
that setting is left out. If the file names a class itself (`_target_`), the choice's class replaces it. What the user
types is never left out, so a mistyped key is still refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError

from experiments.config.command_line import CONF, key_of, search_path
from experiments.config.experiment import file_of, said_by
from experiments.config.targets import arguments
from smoothing import SettingError

FILE = "set by the experiment's file for another choice"
OF_ANY_CLASS = ("noise", "certifier")  # whose keys mean the same in every class, such as sigma and n


def typed_words() -> list[str]:
    """The overrides of the current job, those of a sweep included; none outside a job."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def without_others(
    cfg: DictConfig, typed: Sequence[str], groups: Iterable[str], given: dict[str, tuple[str, ...]]
) -> tuple[DictConfig, dict[str, str]]:
    """The configuration without settings of other choices, and the keys that were left out with their origins.

    Args:
        cfg: a composed configuration, not resolved; it is not changed.
        typed: the overrides on the command line, such as noise=band.
        groups: names of the groups.
        given: arguments of each group that the run passes.

    Raises:
        SettingError: a chosen class does not exist.
    """
    keys = {key_of(word) for word in typed}
    chosen = [group for group in groups if group in keys and cfg.get(group) and "_target_" in cfg[group]]
    if not chosen:
        return cfg, {}
    cfg = cfg.copy()
    left: dict[str, str] = {}
    for group in chosen:
        choice = _as_typed(group, typed)
        file, target = cfg[group], (choice or cfg[group])._target_
        taken = arguments(str(target), given.get(group, ()), group)
        if choice is not None and target != file._target_:  # the experiment's file names a class itself
            others = [key for key in map(str, file) if key != "_target_"]
            kept = [key for key in others if group in OF_ANY_CLASS and (key in taken.known or taken.others)]
            same = {*kept, *(key for key in others if key in choice and _plain(choice)[key] == _plain(file)[key])}
            left |= {f"{group}.{key}": FILE for key in others if key not in same}
            cfg[group] = OmegaConf.merge(choice, OmegaConf.masked_copy(file, kept))
        for key in [] if taken.others else list(map(str, cfg[group])):
            if key != "_target_" and key not in taken.known and f"{group}.{key}" not in keys:
                with open_dict(cfg):
                    del cfg[group][key]
                left[f"{group}.{key}"] = _origin(group, key, typed) if f"{group}._target_" in keys else FILE
    if "eps" in cfg and "eps" not in keys:
        try:
            if OmegaConf.is_list(cfg.eps):
                OmegaConf.to_container(cfg.eps, resolve=True)
        except InterpolationKeyError:
            cfg.eps = None
            left["eps"] = FILE
    return cfg, left


def left_out(keys: Mapping[str, str]) -> str:
    """The message for keys that were left out and their origins."""
    by_origin: dict[str, list[str]] = {}
    for key, origin in keys.items():
        by_origin.setdefault(origin, []).append(key)
    return "left out: " + "; ".join(f"{', '.join(names)} ({origin})" for origin, names in by_origin.items())


def _as_typed(group: str, typed: Sequence[str]) -> DictConfig | None:
    """A group as it is without an experiment's file; None if it is nothing without one."""
    words = [word for word in typed if key_of(word).partition(".")[0] == group]
    job = HydraConfig.get() if HydraConfig.initialized() else None
    found = search_path(job) if job else [word for word in typed if word.startswith("hydra.searchpath=")]
    absent = [] if job and "experiment" not in job.runtime.choices else ["~experiment"]
    try:
        node = compose(job.job.config_name if job else "certify", [*found, *absent, *words])[group]
    except HydraException:
        return None
    return node if OmegaConf.is_dict(node) and "_target_" in node else None


def _plain(node: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(node)  # type: ignore[return-value]


def _origin(group: str, key: str, typed: Sequence[str]) -> str:
    """Who set a key of a group whose `_target_` is typed: the typed choice, or the experiment's file."""
    choice = _as_typed(group, typed)
    name = next((word for word in typed if word.lstrip("+").startswith(f"{group}=")), group)
    return f"set by {name.lstrip('+')} for another class" if choice is not None and key in choice else FILE


def sweep_without_others(script: str, typed: Sequence[str], folders: tuple[Path, ...]) -> tuple[list[str], list[str]]:
    """The overrides that replace the sweep of an experiment's file, and the keys that are no longer swept.

    Such as noise.sigma with noise=band on the command line. Both are empty if all swept keys are those of the choices.

    Args:
        script: certify or train.
        typed: the overrides on the command line.
        folders: with configuration files.
    """
    words = {key.lstrip("+"): value for key, _, value in (word.partition("=") for word in typed)}
    name = words.get("experiment") or _default_experiment(script)
    sweep = (said_by(f"experiment/{name}", folders) or {"sweep": {}})["sweep"]
    left = []
    for key in sweep:
        group, _, leaf = key.partition(".")
        if group in words and key not in words:
            choices = words[group].split(",")
            left += [] if any(_may_have(f"{group}/{choice}", leaf, folders) for choice in choices) else [key]
    if not left:
        return [], []
    kept = [f"{key}={values}" for key, values in sweep.items() if key not in left and key not in words]
    return ["hydra.sweeper.params=null", *kept], left


def _default_experiment(script: str) -> str:
    defaults = OmegaConf.select(OmegaConf.load(CONF / f"{script}.yaml"), "defaults") or ()
    return next((each["experiment"] for each in defaults if OmegaConf.is_dict(each) and "experiment" in each), "")


def _may_have(choice: str, key: str, folders: tuple[Path, ...]) -> bool:
    """Whether the class of a choice, such as noise/band, has that argument, or is not known here."""
    file = file_of(choice, folders)
    target = OmegaConf.select(OmegaConf.load(file), "_target_") if file else None
    try:
        taken = arguments(str(target), (), choice.partition("/")[0]) if target else None
    except SettingError:  # the job says so
        return True
    return taken is None or taken.others or key in taken.known
