"""Find and load the weights of a base function: from its class, a checkpoint of train.py, or the user's own file.

certify.py derives the checkpoint's folder from its own configuration. `checkpoint=<path>` overrides this with another
checkpoint's folder or a file of weights (`weights_file`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from experiments.config.identity import description
from experiments.config.settings import Group, Settings
from experiments.config.targets import parameters
from experiments.config.user_code import is_suites
from experiments.data import Dataset
from experiments.training.checkpoints import (
    METADATA,
    WEIGHTS,
    folder,
    read,
    train_command,
    trained_as,
    training_conditions,
    warn_of_changed_source,
    weights_hash,
    written,
)
from experiments.training.training_data import require_same_data
from experiments.training.weights_file import load_weights
from smoothing import Noise, SettingError

TRAINED = Path(__file__).parents[2] / "models" / "trained"  # networks that come with the suite, by folder name
OF_CONTENT = ("fingerprint", "files", "code")  # what tells a data set's contents apart
ANYWAY = "or certify it anyway: allow_mismatch=true"
CHECKED = ("model", "dataset", "normalisation", "noise")


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights, located once per run.

    Attributes:
        path: a folder made by train.py, or the user's own file of weights.
        weights: hash of the weights; for a folder, the hash in its metadata.
        metadata: the metadata from `checkpoints.read`; None for a file.
    """

    path: Path
    weights: str
    metadata: dict[str, Any] | None

    @property
    def training(self) -> dict[str, Any]:
        """The origin of the weights, as part of a run's identity."""
        if self.metadata is None:
            return {"weights": self.weights}
        trained_as = self.metadata["trained_as"]
        own: dict[str, Any] = trained_as["trainer"]
        return own | {"noise": trained_as["noise"], "weights": self.weights}

    def load(self, model: nn.Module, settings: Settings, dataset: Dataset) -> None:
        """Load the weights into the model.

        Raises:
            SettingError: the weights are damaged or of another network; or they were trained on another data set or
                with another noise or normalisation, and `allow_mismatch` is false.
        """
        if self.metadata is None:
            load_weights(self.path, model)
            return
        if not settings.allow_mismatch:
            self._require_match(self.metadata["trained_as"], settings, dataset)
            if not is_suites(settings.dataset.target):  # the contents of the suite's are known
                require_same_data(self.path, self.metadata, dataset, f"; {ANYWAY}")
        file, again = self.path / WEIGHTS, train_command(settings)
        if weights_hash(file) != self.weights:
            raise SettingError(f"{file}: damaged, or not the file that train.py saved. Train it again: {again}")
        try:
            model.load_state_dict(load_file(file))
        except SafetensorError as error:
            raise SettingError(f"{file}: not in safetensors format. Train it again: {again}") from error
        except RuntimeError as error:
            network, classes = written(self.metadata["trained_as"]["model"]), self.metadata["num_classes"]
            raise SettingError(
                f"{file}: weights of {network} for {classes} classes do not fit {type(model).__name__}. "
                f"Train matching weights: {again}"
            ) from error
        warn_of_changed_source(self.path, self.metadata, settings)

    def restore(self, noise: Noise, group: Group) -> None:
        """Restore the noise's state from training, if the noise is the same. Raises SettingError if it does not fit."""
        if noise.state() and self.metadata and self.metadata["trained_as"]["noise"] == description(group):
            noise.restore(self.metadata.get("noise_state", {}))

    def _require_match(self, found: dict[str, Any], settings: Settings, dataset: Dataset) -> None:
        wanted = training_conditions(settings, dataset)
        for group in CHECKED:
            if wanted[group] != found.get(group):
                allow = "" if group == "model" else f"; {ANYWAY}"
                raise SettingError(
                    f"{group}: expected a checkpoint trained with {written(wanted[group])}, but '{self.path}' was "
                    f"trained with {written(found.get(group))}. Train another: {train_command(settings)}{allow}"
                )


def find(settings: Settings, dataset: Dataset) -> Checkpoint | None:
    """The finished checkpoint, or the user's own file, for these settings; None if the model brings its own weights.

    If `checkpoints.root` has no folder for them, a network that comes with the suite is used: `TRAINED`.

    Raises:
        SettingError: the checkpoint does not exist or cannot be read.
    """
    if not needs_checkpoint(settings):
        return None
    path = Path(settings.checkpoint) if settings.checkpoint else _trained(folder(settings, dataset))
    if path.name == WEIGHTS and path.with_name(METADATA).is_file():  # the folder's checks are for its file, too
        path = path.parent
    if settings.checkpoint and path.is_file():
        try:
            return Checkpoint(path, weights_hash(path), None)
        except OSError as error:
            raise SettingError(f"checkpoint: '{path}' cannot be read: {error.strerror}") from error
    if settings.checkpoint and not path.exists():
        raise SettingError(f"checkpoint: no file or folder '{path}'; leave checkpoint= out to use that of train.py")
    if not (path / METADATA).is_file() or not (path / WEIGHTS).is_file():
        state = "no finished checkpoint in" if path.is_dir() else "no checkpoint"
        changed = "" if settings.checkpoint else _of_earlier_data(settings, dataset)
        raise SettingError(f"checkpoint: {state} '{path}'{changed}. Train it: {train_command(settings)}")
    metadata = read(path)
    return Checkpoint(path, metadata["weights"], metadata)


def _of_earlier_data(settings: Settings, dataset: Dataset) -> str:
    """Part of a message: the checkpoint that differs only in the content of its data, if there is one."""
    wanted = _apart_from_content(trained_as(settings, dataset))
    for file in sorted(Path(settings.checkpoints.root).glob(f"*/{METADATA}")):
        try:
            found = read(file.parent)["trained_as"]
        except SettingError:
            continue
        if _apart_from_content(found) == wanted:
            return f"; the data have changed since '{file.parent}' was trained"
    return ""


def _apart_from_content(identity: dict[str, Any]) -> dict[str, Any]:
    data = {key: value for key, value in identity.get("dataset", {}).items() if key not in OF_CONTENT}
    return identity | {"dataset": data}


def _trained(path: Path) -> Path:
    """The checkpoint's folder, or if there is none the one that comes with the suite, if there is one."""
    return path if path.is_dir() or not (TRAINED / path.name).is_dir() else TRAINED / path.name


def needs_checkpoint(settings: Settings) -> bool:
    """Whether the weights come from a checkpoint. Raises SettingError if the settings name no source of weights.

    A class or function with `pretrained = True` brings its own weights. A function may load weights itself, such as
    torchvision's (model.weights=DEFAULT) and timm's (model.pretrained=true). This counts only without a trainer and a
    checkpoint.
    """
    model = settings.model
    if getattr(model.located, "pretrained", False) is True:
        if settings.checkpoint:
            raise SettingError(
                f"checkpoint: {model.name} brings its own weights (pretrained = True) and would not load "
                f"'{settings.checkpoint}'; leave it out, or take a class with pretrained = False"
            )
        return False
    if settings.trainer or settings.checkpoint:
        return True
    if model.get("weights") or model.get("pretrained") is True:
        return False
    own = ", or +model.weights=DEFAULT" if "weights" in parameters(model.target, "model") else ""
    place = "in the class, set " if isinstance(model.located, type) else f"below the function, set {model.name}."
    raise SettingError(
        f"model: {model.name} needs weights. Set the trainer=... of its training, or checkpoint=<folder of train.py, "
        f"or a file of weights>{own}; if it brings its own weights: {place}pretrained = True"
    )
