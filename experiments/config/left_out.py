"""Leaves out what an experiment's file sets for another choice of a group than the one on the command line.

`experiment=demo` sets certifier.m for its own certifier. With certifier=certify on the command line, which has no m,
that setting is left out. What the user types is never left out, so a mistyped key is still refused.
"""

from collections.abc import Iterable, Sequence

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError

from experiments.config.targets import arguments


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
    if "eps" in cfg and "eps" not in keys and left:
        try:
            if OmegaConf.is_list(cfg.eps):
                OmegaConf.to_container(cfg.eps, resolve=True)
        except InterpolationKeyError:
            cfg.eps = None
            left.append("eps")
    return cfg, left
