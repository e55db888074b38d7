"""An experiment's description: what it shows, what it needs, the values that it sweeps, and its commands."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

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
        trained: whether train.py makes the weights.
    """

    name: str
    paper: str
    item: str
    shows: str
    needs: str
    sweep: dict[str, str]
    trained: bool

    @property
    def config(self) -> DictConfig:
        """The settings of one point, unresolved."""
        return composed(self.name, tuple(config_folders()))

    def commands(self, also: str = "") -> list[str]:
        """The commands that produce its results, in order: train.py, if it trains, then certify.py.

        Args:
            also: overrides that a figure needs. Training commands receive only `trainer.*` overrides.
        """
        trained = " ".join(word for word in also.split() if word.startswith("trainer."))
        train = [self._command("train", trained)] if self.trained else []
        return [*train, self._command("certify", also)]

    def _command(self, script: str, also: str) -> str:
        sweeps = "-m " if self.sweep or "," in also else ""
        return f"python {script}.py {sweeps}experiment={self.name} {also}".rstrip()


def experiment(name: str) -> Experiment:
    """The experiment of that name, from conf/ or the user's folders. Raises SettingError if there is none."""
    return _read(name, tuple(config_folders()))


def has_file(name: str) -> bool:
    """Whether conf/ or the user's folders describe an experiment of that name. A name that was only typed has none."""
    return file_of(f"experiment/{name}", tuple(config_folders())) is not None


@cache
def _read(name: str, folders: tuple[Path, ...]) -> Experiment:
    """From its file and its presets' files alone: to compose all experiments would take seconds."""
    said = said_by(f"experiment/{name}", folders)
    if said is None:
        raise SettingError(
            f"figure.experiments: no experiment '{name}'; no experiment/{name}.yaml in {', '.join(map(str, folders))}"
        )
    about = {key: said.get(key) or "" for key in ("paper", "item", "shows", "needs")}
    return Experiment(name, **about, sweep=said["sweep"], trained=bool(said.get("trainer")))


def file_of(place: str, folders: tuple[Path, ...]) -> Path | None:
    """The first folder's file of a place such as "experiment/demo"; None if none has it."""
    return next((path for folder in folders if (path := folder / f"{place}.yaml").is_file()), None)


def said_by(place: str, folders: tuple[Path, ...]) -> dict[str, Any] | None:
    """The keys that a file and the presets that it names set; a later one replaces an earlier one. None: no file."""
    file = file_of(place, folders)
    if file is None:
        return None
    node: Any = OmegaConf.to_container(OmegaConf.load(file))
    said: dict[str, Any] = {"sweep": {}}
    for each in node.get("defaults", ()):
        if isinstance(each, str):
            within = "" if each.startswith("/") else f"{place.rpartition('/')[0]}/"  # as Hydra reads relative names
            preset = said_by(f"{within}{each.lstrip('/')}", folders) or {}
            said |= preset | {"sweep": said["sweep"] | preset.get("sweep", {})}
        else:
            said |= {key.removeprefix("override ").lstrip("/"): choice for key, choice in each.items()}
    swept = node.get("hydra", {}).get("sweeper", {}).get("params", {})
    said["sweep"] |= {key: str(values) for key, values in swept.items()}
    return said | {key: value for key, value in node.items() if key not in ("defaults", "hydra") and value is not None}


@cache
def composed(name: str, folders: tuple[Path, ...]) -> DictConfig:
    """The settings of one point of an experiment, unresolved."""
    words = [f"experiment={name}"]
    if GlobalHydra.instance().is_initialized():  # within a job: use its folders
        found = search_path(HydraConfig.get()) if HydraConfig.initialized() else []
        return compose("certify", [*found, *words], return_hydra_config=True)
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("certify", words, return_hydra_config=True)
