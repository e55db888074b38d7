"""A classifier that another model contains, from its class and settings."""

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from smoothing import SettingError


def inner_classifier(
    key: str, settings: dict[str, Any], num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float]
) -> nn.Module:
    """A new classifier. It receives those of the four arguments of the data set that it has, by name.

    Args:
        key: name of the settings, for messages, such as "model.classifier".
        settings: the classifier's class, as `_target_`, and its own arguments.
        num_classes: number of classes.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.

    Raises:
        SettingError: there is no such class, or it does not accept these arguments.
    """
    own = dict(settings)
    path = str(own.pop("_target_", ""))
    module, _, name = path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(
            f"{key}._target_: expected a classifier's class, such as models.classifiers.SmallCNN, got {path}"
        ) from error
    try:
        accepted = inspect.signature(cls).parameters
        of_data = {"num_classes": num_classes, "in_channels": in_channels, "mean": mean, "std": std}
        made: nn.Module = cls(**{name: value for name, value in of_data.items() if name in accepted}, **own)
    except TypeError as error:
        raise SettingError(f"{key}: {error}") from error
    return made
