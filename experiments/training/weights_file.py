"""checkpoint=<file>: weights that train.py did not make, as torch.save or safetensors writes a state dictionary."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from smoothing import SettingError

WRAPPED = ("state_dict", "model_state_dict", "model", "net")  # keys below which others keep the weights
PREFIX = "module."  # of every name, where nn.DataParallel wrote them


def load_weights(path: Path, model: nn.Module) -> None:
    """Put a file's weights into the model; every name and shape must fit. Code in the file is never run.

    Raises:
        SettingError: the file is no state dictionary, or one of another network.
    """
    weights = _read(path)
    if not isinstance(model, nn.Module):
        raise SettingError(f"checkpoint: expected a torch.nn.Module to put '{path}' into, got {type(model).__name__}")
    if weights and all(name.startswith(PREFIX) for name in weights):
        weights = {name.removeprefix(PREFIX): value for name, value in weights.items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        shown = lines[0][:200] if lines else str(error)
        raise SettingError(f"checkpoint: the weights in '{path}' do not fit {type(model).__name__}: {shown}") from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found: Any = _loaded(path)
    except UnpicklingError as error:
        raise SettingError(
            f"checkpoint: '{path}' holds more than tensors, and its code would have to be run to read it; save "
            "model.state_dict() instead"
        ) from error
    except (EOFError, KeyError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise SettingError(
            f"checkpoint: '{path}' is damaged, or no file of weights; expected what torch.save(model.state_dict(), "
            "...) or safetensors writes"
        ) from error
    for key in WRAPPED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise SettingError(f"checkpoint: expected tensors by name in '{path}', as model.state_dict() gives them")
    return found


def _loaded(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
