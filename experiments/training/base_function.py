"""The base function of a run, with its weights in it, and the noise that belongs to it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from experiments.config.check import GIVEN
from experiments.config.settings import Settings
from experiments.config.targets import parameters
from experiments.data import Dataset, LabelledDataset
from experiments.training.weights import Checkpoint, find
from smoothing import Noise, SettingError, SmoothingError
from smoothing.inputs import as_tensor, placed


@dataclass(frozen=True)
class BaseFunction:
    """What a run certifies.

    Attributes:
        model: with the weights that it is to be certified with, on the CPU.
        noise: that it is to be certified with, with what the checkpoint keeps of it; None for a run without.
        checkpoint: that the weights came from; None for a model that brings its own.
    """

    model: nn.Module
    noise: Noise | None
    checkpoint: Checkpoint | None


def build_base_function(settings: Settings, dataset: Dataset) -> BaseFunction:
    """The base function of a run.

    Raises:
        SettingError: the settings; there is no such checkpoint, or it is of another network, data set or noise.
        MissingDataError: the data set.
    """
    noise, model = new_noise(settings, dataset), new_model(settings, dataset)
    checkpoint = find(settings, dataset)
    if checkpoint:
        checkpoint.load(model, settings, dataset)
    if checkpoint and noise and settings.noise:
        checkpoint.restore(noise, settings.noise)
    return BaseFunction(model, noise, checkpoint)


def new_noise(settings: Settings, dataset: Dataset) -> Noise | None:
    """The noise as its class makes it, None where there is none; the data set tells it what it must know of the images.

    Raises:
        SettingError: the settings; or a noise on quantised images and a data set that does not say how they are.
    """
    noise = settings.noise
    if noise is None:
        return None
    wanted = [name for name in GIVEN["noise"] if name in parameters(noise.target, "noise")]
    if wanted and not isinstance(dataset, LabelledDataset):
        raise SettingError(f"noise: {noise.name} needs quantised images, which {type(dataset).__name__} does not say")
    if "grid" in noise.arguments and noise.get("grid") is None and not hasattr(settings.model.located, "measure"):
        noise = noise.replaced(grid=getattr(dataset, "levels", None))  # images are what the model takes
    made: Noise = noise.build(**{name: getattr(dataset, name) for name in wanted})
    return made


def new_model(settings: Settings, dataset: Dataset) -> nn.Module:
    """The model as its class makes it, before any checkpoint; the data set tells it what it must know of the images.

    Raises:
        SettingError: a model for labelled images of one size on a data set without them; settings that its class
            refuses.
    """
    model = settings.model
    wanted = [name for name in GIVEN["model"] if name in parameters(model.target, "model")]
    if wanted and not isinstance(dataset, LabelledDataset):
        raise SettingError(
            f"model: {model.name} is for labelled images of one size, and dataset {type(dataset).__name__} has no "
            "labels; take dataset=digits, mnist, cifar10, imagenet or classes"
        )
    try:
        made = model.build(**{name: _known(dataset, name) for name in wanted})
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, SmoothingError):
            raise
        raise SettingError(f"model: {model.name} cannot be made with these settings ({error})") from error
    if not callable(made):
        raise SettingError(f"model: expected {model.name} to make a torch.nn.Module, got a {type(made).__name__}")
    return made


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
