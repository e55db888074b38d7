"""Leaves out what an experiment's file sets for another choice of a group than the one on the command line.

`experiment=demo` sets certifier.m for its own certifier. With certifier=certify on the command line, which has no m,
that setting is left out. What the user types is never left out, so a mistyped key is still refused.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError

from experiments.config.command_line import CONF
from experiments.config.experiment import file_of, said_by
from experiments.config.targets import arguments
from smoothing import SettingError


def typed_words() -> list[str]:
    """The overrides of the current job, those of a sweep included; none outside a job."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def without_others(
    cfg: DictConfig, typed: Sequence[str], groups: Iterable[str], given: dict[str, tuple[str, ...]]
) -> tuple[DictConfig, list[str]]:
    """The configuration without settings of other choices, and the keys that were left out.

    Args:
        cfg: a composed configuration, not resolved; it is not changed.
        typed: the overrides on the command line, such as noise=band.
        groups: names of the groups.
        given: arguments of each group that the run passes.

    Raises:
        SettingError: a chosen class does not exist.
    """
    keys = {word.lstrip("+~").partition("=")[0] for word in typed}
    chosen = [group for group in groups if group in keys and cfg.get(group) and "_target_" in cfg[group]]
    if not chosen:
        return cfg, []
    cfg = cfg.copy()
    left = []
    for group in chosen:
        taken = arguments(str(cfg[group]._target_), given.get(group, ()), group)
        for key in [] if taken.others else list(map(str, cfg[group])):
            if key != "_target_" and key not in taken.known and f"{group}.{key}" not in keys:
                with open_dict(cfg):
                    del cfg[group][key]
                left.append(f"{group}.{key}")
    if "eps" in cfg and "eps" not in keys:
        try:
            if OmegaConf.is_list(cfg.eps):
                OmegaConf.to_container(cfg.eps, resolve=True)
        except InterpolationKeyError:
            cfg.eps = None
            left.append("eps")
    return cfg, left


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
