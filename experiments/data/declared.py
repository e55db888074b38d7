"""Checks, once, that a data set is what its class declares: shape, levels, classes, mean and std."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from smoothing import SettingError

HOLDS = {
    "classes": "the names of the classes, in the order of the labels",
    "shape": "the shape of an input, such as (channels, height, width)",
    "mean": "a number for each channel",
    "std": "a number for each channel",
}


def declared(dataset: Any, name: str) -> Any:
    """An attribute of a data set, such as shape. Raises SettingError if its class does not set it."""
    found = getattr(dataset, name, ())
    if not found:
        raise SettingError(f"dataset: {type(dataset).__name__}.{name} is missing; set it to {HOLDS[name]}")
    return found


def require_pixels(where: str, pixels: Any, levels: int | None, shape: Sequence[int] | None) -> None:
    """Raise SettingError unless pixels are a tensor of inputs of this shape, and whole numbers from 0 to levels if set.

    Args:
        where: start of the message, such as "dataset: Table.testing()".
        pixels: (n, *shape).
        levels: the largest value; None: they are any numbers, but no bytes.
        shape: shape of an input; None: unknown.
    """
    if not isinstance(pixels, Tensor):
        raise SettingError(f"{where}: expected pixels as a tensor, got {type(pixels).__name__}; use torch.from_numpy")
    if levels and (pixels.is_floating_point() or pixels.is_complex()):
        raise SettingError(
            f"{where}: expected whole pixels 0 to {levels} (uint8), which are divided by levels={levels}, "
            f"got {pixels.dtype}; return ({levels} * pixels).round().byte()"
        )
    if not levels and pixels.dtype == torch.uint8:
        raise SettingError(
            f"{where}: expected float32 numbers, because levels is None, got torch.uint8; set levels = 255 if they are "
            "pixels, or return pixels.float()"
        )
    if shape is not None and tuple(pixels.shape[1:]) != tuple(shape):
        raise SettingError(
            f"{where}: expected pixels of shape (n, {', '.join(map(str, shape))}), because shape is {tuple(shape)}, "
            f"got {tuple(pixels.shape)}"
        )
    if levels and pixels.numel() and not 0 <= pixels.min() <= pixels.max() <= levels:
        raise SettingError(
            f"{where}: expected pixels 0 to {levels}, because levels is {levels}, got {int(pixels.min())} to "
            f"{int(pixels.max())}"
        )


def require_labels(where: str, labels: Tensor, classes: Sequence[str]) -> None:
    """Raise SettingError unless labels, (n,), are whole numbers from 0 to the number of classes - 1."""
    if labels.is_floating_point() or labels.dim() != 1:
        raise SettingError(
            f"{where}: expected labels as whole numbers, (n,), got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise SettingError(
            f"{where}: expected labels 0 to {len(classes) - 1}, got {int(labels.min())} to {int(labels.max())}; there "
            f"are {len(classes)} classes"
        )


def require_normalisation(dataset: Any, channels: int | None) -> None:
    """Raise SettingError unless mean and std have a number for each channel, std > 0, or are both empty.

    With levels, inputs are in [0, 1], so a mean outside of it or a std above 1 is one of pixels 0 to levels.

    Args:
        dataset: it declares mean, std and levels.
        channels: of an input; None: unknown.
    """
    mean, std = dataset.mean, dataset.std
    if len(mean) != len(std) or any(not each > 0 for each in std) or (len(mean) and channels not in (None, len(mean))):
        many = "one number each" if channels == 1 else f"{channels or len(mean)} numbers each"
        raise SettingError(
            f"dataset: {type(dataset).__name__}.mean, std: expected {many}, one for each channel, std > 0, got {mean}, "
            f"{std}"
        )
    if (levels := dataset.levels) and (any(not 0 <= each <= 1 for each in mean) or any(each > 1 for each in std)):
        raise SettingError(
            f"dataset: {type(dataset).__name__}.mean, std: expected mean and std in units of 0 to 1, because pixels "
            f"are divided by levels={levels}, got {mean}, {std}; divide by {levels}"
        )
