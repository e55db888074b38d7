"""The base function of a run, with its weights in it, and the noise that belongs to it."""

from typing import Any

import torch
from torch import Tensor, nn

from experiments.config.composition import GIVEN, build, description
from experiments.config.targets import located, parameters
from experiments.data import Dataset, LabelledDataset
from experiments.training import checkpoints
from smoothing import Noise, SettingError, SmoothingError
from smoothing.inputs import as_tensor, placed


def build_model(plain: dict[str, Any], dataset: Dataset) -> nn.Module:
    """The model with the weights that it is to be certified with, on the CPU.

    They are its own where its class says `pretrained = True`, and those of a checkpoint otherwise.

    Raises:
        SettingError: there is no such checkpoint, or it is of another network, data set or noise.
        MissingDataError: the data set.
    """
    model = new_model(plain, dataset)
    if needs_checkpoint(plain):
        checkpoints.load(plain, model, dataset)
    return model


def training_of(plain: dict[str, Any], dataset: Dataset) -> dict[str, Any] | None:
    """What the weights of `build_model` came from, as part of a run's identity; None for a model that brings its own.

    Raises:
        SettingError: there is no such checkpoint.
    """
    if not needs_checkpoint(plain):
        return None
    path = checkpoints.find(plain, dataset)
    if path.is_file():
        return {"weights": checkpoints.weights_hash(path)}
    metadata = checkpoints.read(path)
    return metadata["trained_as"]["trainer"] | {
        "noise": metadata["trained_as"]["noise"],
        "weights": metadata["weights"],
    }


def build_noise(plain: dict[str, Any], dataset: Dataset) -> Noise:
    """The noise that the model is to be certified with; what belongs to it beside its settings is the checkpoint's.

    Raises:
        SettingError: the settings; there is no such checkpoint, or it keeps nothing that fits.
    """
    noise = new_noise(plain, dataset)
    if noise.state() and needs_checkpoint(plain):
        path = checkpoints.find(plain, dataset)
        metadata = {} if path.is_file() else checkpoints.read(path)
        if metadata and metadata["trained_as"]["noise"] == description(plain["noise"]):
            noise.restore(metadata.get("noise_state", {}))
    return noise


def new_noise(plain: dict[str, Any], dataset: Dataset) -> Noise:
    """The noise as its class makes it; the data set tells it what it must know of the images.

    Raises:
        SettingError: the settings; or a noise on quantised images and a data set that does not say how they are.
    """
    target = plain["noise"]["_target_"]
    wanted = [name for name in GIVEN["noise"] if name in parameters(target, "noise")]
    if wanted and not isinstance(dataset, LabelledDataset):
        raise SettingError(
            f"noise: {named(target)} needs quantised images, which {type(dataset).__name__} does not say"
        )
    settings = plain["noise"]
    if "grid" in settings and settings["grid"] is None:
        settings = settings | {"grid": _grid_of_inputs(plain, dataset)}
    noise: Noise = build(settings, **{name: getattr(dataset, name) for name in wanted})
    return noise


def _grid_of_inputs(plain: dict[str, Any], dataset: Dataset) -> int | None:
    """The levels of the images, where the data set says them and images are what the model takes."""
    measured = hasattr(located(plain["model"]["_target_"], "model"), "measure")
    return None if measured else getattr(dataset, "levels", None)


def new_model(plain: dict[str, Any], dataset: Dataset) -> nn.Module:
    """The model as its class makes it, before any checkpoint; the data set tells it what it must know of the images.

    Raises:
        SettingError: a model for labelled images of one size on a data set without them; settings that its class
            refuses.
    """
    target = plain["model"]["_target_"]
    wanted = [name for name in GIVEN["model"] if name in parameters(target, "model")]
    if wanted and not isinstance(dataset, LabelledDataset):
        raise SettingError(
            f"model: {named(target)} is for labelled images of one size, and dataset {type(dataset).__name__} has no "
            "labels; take dataset=digits, mnist, cifar10, imagenet or classes"
        )
    try:
        model = build(plain["model"], **{name: _known(dataset, name) for name in wanted})
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, SmoothingError):
            raise
        raise SettingError(f"model: {named(target)} cannot be made with these settings ({error})") from error
    if not callable(model):
        raise SettingError(f"model: expected {named(target)} to make a torch.nn.Module, got a {type(model).__name__}")
    return model


def _known(dataset: Any, name: str) -> Any:
    """What a data set tells a model of its images."""
    if name == "num_classes":
        return len(dataset.classes)
    return dataset.shape[0] if name == "in_channels" else getattr(dataset, name)


def example_of(dataset: Dataset, index: int, model: Any, device: torch.device) -> Tensor:
    """An example, (*shape), on the device, of the precision of the model's weights. Raises SettingError: no input."""
    return placed(as_tensor(dataset[index]).to(device), model)


def input_of(model: Any, images: Tensor) -> Tensor:
    """What a model takes of images (b, C, H, W), which noise and perturbations are added to: (b, *input shape).

    The images as they are, or what its `measure` makes of them where it has one.
    """
    taken: Tensor = model.measure(images) if hasattr(model, "measure") else images
    return taken


def needs_checkpoint(plain: dict[str, Any]) -> bool:
    """Whether the weights come from a checkpoint. Raises SettingError where they would come from nowhere.

    A class says `pretrained = True` where it brings its own. A function can be asked for them, as torchvision's
    (model.weights=DEFAULT) and timm's (model.pretrained=true), where no trainer and no checkpoint is named.
    """
    target = plain["model"]["_target_"]
    if getattr(located(target, "model"), "pretrained", False) is True:
        return False
    if plain["trainer"] or plain["checkpoint"]:
        return True
    if plain["model"].get("weights") or plain["model"].get("pretrained") is True:
        return False
    raise SettingError(
        f"model: {named(target)} needs weights. Name the trainer that made them (trainer=digits or sgd_step), "
        "checkpoint=<folder of train.py, or a file of weights>, or a model.weights that it loads; a class that brings "
        "its own says pretrained = True"
    )


def named(target: str) -> str:
    """The last part of a dotted name, for messages."""
    return target.rpartition(".")[2]
