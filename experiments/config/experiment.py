"""An experiment's description: what it shows, what it needs, the values that it sweeps, and its commands."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.config.command_line import CONF, config_folders, search_path
from experiments.config.schema import register
from smoothing import SettingError


@dataclass(frozen=True)
class Experiment:
    """An experiment's file, composed with its presets and groups.

    Attributes:
        name: name of the file, without ".yaml".
        paper: the paper that it reproduces, such as "Cohen et al."; empty if the file does not say.
        item: the paper's figure or table, such as "fig. 6".
        shows: what the experiment shows, in a sentence.
        needs: data, weights and hardware that the user must bring; empty if it runs from a clone.
        sweep: the values that `-m` runs, by key, in Hydra's notation: {"noise.sigma": "0.25,0.5"}.
        config: the settings of one point, with interpolations unresolved.
    """

    name: str
    paper: str
    item: str
    shows: str
    needs: str
    sweep: dict[str, str]
    config: DictConfig

    def commands(self, also: str = "") -> list[str]:
        """The commands that produce its results, in order: train.py, if it trains, then certify.py.

        Args:
            also: overrides that a figure needs. Training commands receive only `trainer.*` overrides.
        """
        trained = " ".join(word for word in also.split() if word.startswith("trainer."))
        train = [self._command("train", trained)] if self.config.trainer else []
        return [*train, self._command("certify", also)]

    def _command(self, script: str, also: str) -> str:
        sweeps = "-m " if self.sweep or "," in also else ""
        return f"python {script}.py {sweeps}experiment={self.name} {also}".rstrip()


def experiment(name: str) -> Experiment:
    """The experiment of that name, from conf/ or the user's folders. Raises SettingError if there is none."""
    return _composed(name, tuple(config_folders()))


@cache
def _composed(name: str, folders: tuple[Path, ...]) -> Experiment:
    if not any((folder / "experiment" / f"{name}.yaml").is_file() for folder in folders):
        raise SettingError(
            f"figure.experiments: no experiment '{name}'; no experiment/{name}.yaml in {', '.join(map(str, folders))}"
        )
    words = [f"experiment={name}"]
    if GlobalHydra.instance().is_initialized():  # within a job: use its folders
        found = search_path(HydraConfig.get()) if HydraConfig.initialized() else []
        cfg = compose("certify", [*found, *words], return_hydra_config=True)
    else:
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("certify", words, return_hydra_config=True)
    about = {key: cfg[key] or "" for key in ("paper", "item", "shows", "needs")}
    return Experiment(name, **about, sweep=dict(cfg.hydra.sweeper.params or {}), config=cfg)
