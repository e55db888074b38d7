"""Where the weights of a base function come from: its class, a checkpoint of train.py, or a file of the user's own.

certify.py derives the checkpoint's folder from its own configuration. `checkpoint=<path>` overrides that, with another
such folder or a file of weights (`weights_file`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from experiments.config.identity import description
from experiments.config.settings import Group, Settings
from experiments.data import Dataset
from experiments.training.checkpoints import (
    METADATA,
    WEIGHTS,
    described,
    folder,
    read,
    train_command,
    weights_hash,
    written,
)
from experiments.training.weights_file import load_weights
from smoothing import Noise, SettingError

CHECKED = ("model", "dataset", "normalisation", "noise")


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights, found and read once for a run.

    Attributes:
        path: the folder that train.py made, or the user's own file of weights.
        weights: their hash, of a folder as its metadata have it.
        metadata: of `checkpoints.read`; None for a file, which has none.
    """

    path: Path
    weights: str
    metadata: dict[str, Any] | None

    @property
    def training(self) -> dict[str, Any]:
        """What the weights came from, as part of a run's identity."""
        if self.metadata is None:
            return {"weights": self.weights}
        trained_as = self.metadata["trained_as"]
        own: dict[str, Any] = trained_as["trainer"]
        return own | {"noise": trained_as["noise"], "weights": self.weights}

    def load(self, model: nn.Module, settings: Settings, dataset: Dataset) -> None:
        """Put the weights into the model.

        Raises:
            SettingError: they are damaged or of another network; or they were trained on another data set or with
                another noise or normalisation, unless `allow_mismatch`.
        """
        if self.metadata is None:
            load_weights(self.path, model)
            return
        if not settings.allow_mismatch:
            self._require_match(self.metadata["trained_as"], settings, dataset)
        file, again = self.path / WEIGHTS, train_command(settings)
        if weights_hash(file) != self.weights:
            raise SettingError(f"{file}: damaged, or not the file that was saved. Train it again: {again}")
        try:
            model.load_state_dict(load_file(file))
        except SafetensorError as error:
            raise SettingError(f"{file}: not in safetensors format. Train it again: {again}") from error
        except RuntimeError as error:
            network, classes = written(self.metadata["trained_as"]["model"]), self.metadata["num_classes"]
            raise SettingError(
                f"{file}: weights of {network} for {classes} classes, which do not fit {type(model).__name__}. "
                f"Train one that does: {again}"
            ) from error

    def restore(self, noise: Noise, group: Group) -> None:
        """Give a group's noise what else belongs to it, if it is the training's. Raises SettingError: no fit."""
        if noise.state() and self.metadata and self.metadata["trained_as"]["noise"] == description(group):
            noise.restore(self.metadata.get("noise_state", {}))

    def _require_match(self, found: dict[str, Any], settings: Settings, dataset: Dataset) -> None:
        wanted = described(settings, dataset)
        for group in CHECKED:
            if wanted[group] != found.get(group):
                allow = "" if group == "model" else "; or certify it all the same: allow_mismatch=true"
                raise SettingError(
                    f"{group}: the configuration says {written(wanted[group])}, the checkpoint '{self.path}' was "
                    f"trained with {written(found.get(group))}. Train another: {train_command(settings)}{allow}"
                )


def find(settings: Settings, dataset: Dataset) -> Checkpoint | None:
    """The finished checkpoint, or the user's own file, that the settings name; None where the model brings its weights.

    Raises:
        SettingError: there is none, or it cannot be read.
    """
    if not needs_checkpoint(settings):
        return None
    path = Path(settings.checkpoint) if settings.checkpoint else folder(settings, dataset)
    if settings.checkpoint and path.is_file():
        try:
            return Checkpoint(path, weights_hash(path), None)
        except OSError as error:
            raise SettingError(f"checkpoint: '{path}' cannot be read: {error.strerror}") from error
    if not (path / METADATA).is_file() or not (path / WEIGHTS).is_file():
        state = "no finished checkpoint in" if path.is_dir() else "no checkpoint"
        raise SettingError(f"checkpoint: {state} '{path}'. Train it: {train_command(settings)}")
    metadata = read(path)
    return Checkpoint(path, metadata["weights"], metadata)


def needs_checkpoint(settings: Settings) -> bool:
    """Whether the weights come from a checkpoint. Raises SettingError where they would come from nowhere.

    A class says `pretrained = True` where it brings its own. A function can be asked for them, as torchvision's
    (model.weights=DEFAULT) and timm's (model.pretrained=true), where no trainer and no checkpoint is named.
    """
    model = settings.model
    if getattr(model.located, "pretrained", False) is True:
        return False
    if settings.trainer or settings.checkpoint:
        return True
    if model.get("weights") or model.get("pretrained") is True:
        return False
    raise SettingError(
        f"model: {model.name} needs weights. Name the trainer that made them (trainer=digits or sgd_step), "
        "checkpoint=<folder of train.py, or a file of weights>, or a model.weights that it loads; a class that brings "
        "its own says pretrained = True"
    )
