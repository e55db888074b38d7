"""Load checkpoint=<file>: a state dictionary that the user saved with torch.save or safetensors."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from smoothing import SettingError

WRAPPED = ("state_dict", "model_state_dict", "model", "net")  # keys under which other training code saves the weights
STARTS = (b"P", b"\x80")  # first bytes of files that torch.save writes: zip, and pickle in earlier versions
PREFIXES = ("module.", "_orig_mod.", "model.")  # DataParallel, torch.compile and Lightning add one to every name
SHOWN = 3  # names that a message shows


def load_weights(path: Path, model: nn.Module) -> None:
    """Load a file's weights into the model. All names and shapes must match. Code in the file is never executed.

    Raises:
        SettingError: the file is not a state dictionary, or is of another network.
    """
    weights = _read(path)
    if not isinstance(model, nn.Module):
        raise SettingError(f"checkpoint: expected a torch.nn.Module to load '{path}' into, got {type(model).__name__}")
    expected = model.state_dict()
    while not expected.keys() & weights.keys() and (prefix := _prefix(weights)):
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        shown = lines[0][:200] if lines else str(error)
        others = [name for name in weights if name not in expected]
        if others and expected.keys() - weights.keys():
            names = [*others[:SHOWN], *(["..."] if len(others) > SHOWN else [])]
            shown = f"{shown.rstrip('.')}; the file has {', '.join(names)} instead"
        raise SettingError(
            f"checkpoint: the weights in '{path}' do not fit {type(model).__name__}; set model=... to the saved "
            f"network: {shown}"
        ) from error


def _prefix(weights: dict[str, Tensor]) -> str:
    """The prefix of `PREFIXES` that all names have; empty if there is none."""
    return next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in weights)), "")


def _read(path: Path) -> dict[str, Tensor]:
    if _is_torchscript(path):
        raise SettingError(
            f"checkpoint: '{path}' is a TorchScript file, a network with its code; save model.state_dict() instead, or "
            "let model._target_ be a function of your own that returns torch.jit.load(...), with pretrained = True"
        )
    try:
        found: Any = _loaded(path)
    except Exception as error:  # torch's reader raises many kinds for a file of another kind, such as IndexError
        if isinstance(error, UnpicklingError) and path.read_bytes()[:1] in STARTS:
            raise SettingError(
                f"checkpoint: '{path}' holds more than tensors, and reading it would execute code; save "
                "model.state_dict() instead"
            ) from error
        raise SettingError(
            f"checkpoint: '{path}' is damaged, or not a file of weights; expected a file saved with "
            "torch.save(model.state_dict(), ...) or safetensors"
        ) from error
    for key in WRAPPED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise SettingError(f"checkpoint: expected a state dictionary in '{path}'; save model.state_dict()")
    return found


def _is_torchscript(path: Path) -> bool:
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _loaded(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
