"""The base function of a run, with its weights, and its noise."""

import sys
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from experiments.config.check import GIVEN
from experiments.config.settings import Group, Settings
from experiments.config.targets import parameters
from experiments.data import Dataset, Images, LabelledDataset, LabelledImages, TargetDataset
from experiments.data.base import MissingDataError, example, require_dataset
from experiments.data.declared import declared
from experiments.training.checkpoints import state_hash
from experiments.training.weights import Checkpoint, find
from smoothing import Noise, SettingError, SmoothingError
from smoothing.inputs import as_tensor, pixels_warning, placed
from smoothing.network_parts import tensors_of

GRID = "noise.grid: "  # how a noise's errors about its grid begin
OF_LABELS = {"mean", "std"}  # what a model is given of labelled images only


@dataclass(frozen=True)
class BaseFunction:
    """The function that a run certifies, and its noise.

    Attributes:
        model: the model with its weights loaded, on the CPU.
        noise: the noise of certification, with its state restored from the checkpoint; None for a run without noise.
        checkpoint: the source of the weights; None for a model that brings its own, or that has none.
    """

    model: nn.Module
    noise: Noise | None
    checkpoint: Checkpoint | None


def build_base_function(settings: Settings, dataset: Dataset) -> BaseFunction:
    """The base function of a run.

    Raises:
        SettingError: the settings are invalid, or the checkpoint is missing or of another network, data set or noise.
        MissingDataError: the data set is missing.
    """
    noise, model = new_noise(settings, dataset), new_model(settings, dataset)
    checkpoint = find(settings, dataset) if settings.checkpoint or _has_numbers(model) else None
    if checkpoint:
        checkpoint.load(model, settings, dataset)
    if checkpoint and noise and settings.noise:
        checkpoint.restore(noise, settings.noise)
    return BaseFunction(model, noise, checkpoint)


def _has_numbers(model: Any) -> bool:
    """Whether a model may have weights. Only a torch.nn.Module that holds no numbers, such as Flatten, has none."""
    if not isinstance(model, nn.Module) or tensors_of(model):
        return True
    return state_hash(model) != state_hash(nn.Identity())  # numbers in lists or objects


def new_noise(settings: Settings, dataset: Dataset | None) -> Noise | None:
    """A new noise, None if the run has none. The data set provides what the noise must know about the images.

    Raises:
        SettingError: the settings are invalid, or the noise needs images that the data set lacks.
    """
    noise = settings.noise
    if noise is None:
        return None
    wanted = _wanted(noise, "noise")
    if missing := [name for name in wanted if not getattr(dataset, name, None)]:
        kind = "quantised images" if "levels" in missing else "images of one known size"
        raise SettingError(
            f"noise: {noise.name} needs {kind}, and {type(dataset).__name__} has none (no {missing[0]}); use "
            f"noise={'uniform' if 'levels' in missing else 'ssn, or dataset=classes'}"
        )
    if "grid" in noise.arguments and noise.get("grid") is None and not hasattr(settings.model.located, "measure"):
        noise = noise.replaced(grid=getattr(dataset, "levels", None))  # the model's inputs are images
    try:
        made: Noise = noise.build(**{name: getattr(dataset, name) for name in wanted})
    except SettingError as error:
        typed, sigma = settings.noise.get("grid") if settings.noise else None, noise.get("sigma") or 0
        if str(error).startswith(GRID) and not typed and sigma > 1:  # nobody typed the grid, so sigma is the mistake
            raise SettingError(f"noise.sigma: too large: {str(error).removeprefix(GRID)}") from error
        raise
    return made


def require_settings(settings: Settings) -> None:
    """Build the trainer and the noise, of a model that is not trained. Raises SettingError if their settings are wrong.

    A data set that is missing is no error here. A noise that must know its images is then not built.
    """
    if settings.trainer:
        settings.trainer.build()
    try:
        dataset = require_dataset(settings.dataset.build())
    except MissingDataError:
        dataset = None
    if dataset or not (settings.noise and _wanted(settings.noise, "noise")):
        new_noise(settings, dataset)


def _wanted(group: Group, kind: str) -> list[str]:
    """The arguments of a group's class that the data set provides."""
    return [name for name in GIVEN[kind] if name in parameters(group.target, kind)]


def new_model(settings: Settings, dataset: Dataset) -> nn.Module:
    """A new model, before weights are loaded. The data set provides what the model must know about the images.

    Raises:
        SettingError: the model needs labelled images of one size and the data set has none, or its class refuses the
            settings.
    """
    model = settings.model
    wanted = _wanted(model, "model")
    known = LabelledDataset if set(wanted) & OF_LABELS else TargetDataset
    if wanted and not isinstance(dataset, known):
        raise SettingError(
            f"model: {model.name} needs labelled images of one size, and {type(dataset).__name__} has no labels; use "
            "dataset=digits, mnist, cifar10, imagenet or classes"
        )
    try:
        made = model.build(**{name: _known(dataset, name) for name in wanted})
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, SmoothingError):
            raise
        raise SettingError(f"model: {model.name} cannot be made with these settings ({error})") from error
    except URLError as error:
        raise SettingError(
            f"model: the weights of {model.name} cannot be downloaded ({error.reason}); download the file "
            "elsewhere and set checkpoint=<file>"
        ) from error
    if not callable(made):
        raise SettingError(f"model: expected {model.name} to return a torch.nn.Module, got a {type(made).__name__}")
    return made


def _known(dataset: Any, name: str) -> Any:
    """The data set's value for a model's argument."""
    if name in ("num_classes", "class_names"):
        classes = declared(dataset, "classes")
        return len(classes) if name == "num_classes" else list(classes)
    if name == "in_channels":
        return declared(dataset, "shape")[0]
    return declared(dataset, name)


def example_of(dataset: Dataset, index: int, model: Any, device: torch.device) -> Tensor:
    """An example, (*shape), on the device, with the dtype of the model. Raises SettingError if it is no input."""
    return placed(tensor_of(dataset, index).to(device), tensors_of(model))


def tensor_of(dataset: Dataset, index: int) -> Tensor:
    """An example as the data set gives it, (*shape). Raises SettingError if there is none, or if it is no input."""
    x = example(dataset, index)
    try:
        return as_tensor(x)
    except SettingError as error:
        raise SettingError(f"dataset: example {index}: {error}") from error


def warn_of_pixels(model: Any, images: LabelledImages, levels: int | None, noise: Noise | None) -> None:
    """Warn on stderr if the first image to train on looks like pixels in 0..255 and the noise like one for [0, 1]."""
    if isinstance(images, Images) and len(images) and not levels:
        warning = pixels_warning(input_of(model, images.pixels[:1].to(torch.float32))[0], noise)
        if warning:
            print(f"warning: {warning}", file=sys.stderr)


def input_of(model: Any, images: Tensor) -> Tensor:
    """The model's inputs for images: (b, C, H, W) -> (b, *input shape). Noise and perturbations are added to these.

    They are the images themselves, or `model.measure(images)` if the model has `measure`.
    """
    taken: Tensor = model.measure(images) if hasattr(model, "measure") else images
    return taken
