"""Checkpoints: checkpoints.root/<data set>-<model>-<noise>-<hash of what it was trained as>/.

weights.safetensors   the network's weights
checkpoint.json       what it was trained as, by which commit, where, and what its test gave; written last
training.csv          loss, and accuracy of a classifier, epoch by epoch
resume.pt             where training goes on; gone when it is finished
training.lock         who is training it; held by one process

Nobody types a path: certify.py derives it from its own configuration, see `weights`.
"""

import csv
import hashlib
import io
import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from experiments.config.command_line import command
from experiments.config.identity import NOT_SETTINGS, description, identity_hash
from experiments.config.settings import Settings
from experiments.data import Dataset, LabelledDataset
from experiments.machine.files import write_atomically
from smoothing import SettingError

WEIGHTS, METADATA, LOG, RESUME = "weights.safetensors", "checkpoint.json", "training.csv", "resume.pt"
LOCK = "training.lock"
NOT_TRAINING = ("step", "count", "seed")  # of a data set: these choose what to certify, not what to train on
TRAINING_KEYS = ("experiment", "dataset", "model", "noise", "trainer", "seed", "checkpoints")


def trained_as(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """What a checkpoint is found by: data set, model, normalisation, noise (None if clean) and trainer with its seed.

    Raises:
        SettingError: no trainer is named.
    """
    if not settings.trainer:
        raise SettingError("trainer: expected one, such as trainer=digits or trainer=sgd_step, got none")
    return described(settings, dataset) | {"trainer": description(settings.trainer)}


def folder(settings: Settings, dataset: Dataset) -> Path:
    """Where training with these settings keeps its checkpoint."""
    return folder_of(trained_as(settings, dataset), settings)


def folder_of(identity: dict[str, Any], settings: Settings) -> Path:
    """Where a checkpoint of this `trained_as` lies."""
    # sigma0.25, not sigma=0.25: a path with = in it could not be typed as checkpoint=<path> without quotes
    noise = identity["noise"] or {"clean": ""}
    said = [f"{key}{value}" for key, value in noise.items() if key not in NOT_SETTINGS]
    names = [identity["dataset"]["type"], identity["model"]["type"], *said, identity_hash(identity)]
    return Path(settings.checkpoints.root) / "-".join(names)


def save(path: Path, model: nn.Module, metadata: dict[str, Any]) -> None:
    """Write weights and metadata, which makes the checkpoint a finished one."""
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(path / WEIGHTS, as_safetensors(weights))
    text = json.dumps(metadata | {"weights": weights_hash(path / WEIGHTS)}, indent=2) + "\n"
    write_atomically(path / METADATA, text.encode())


def keep(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], rows: list[dict[str, Any]]) -> None:
    """After an epoch: write the log, a row an epoch, and all that training needs to go on, each all or nothing."""
    log = io.StringIO()
    writer = csv.DictWriter(log, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # The log first: killed in between, the epoch is trained again and its row written again.
    write_atomically(path / LOG, log.getvalue().encode())
    states = [optimizer.state_dict() for optimizer in optimizers]
    state = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizers": states, "rows": rows}, state)
    write_atomically(path / RESUME, state.getvalue())


def resume(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """Put the state after the last finished epoch into all; returns the log so far, empty where nothing was kept.

    Raises:
        SettingError: what was kept is damaged, or of another network; code in it is never run.
    """
    if not (path / RESUME).exists():
        return []
    try:
        state = torch.load(path / RESUME, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        rows: list[dict[str, Any]] = state["rows"]
    except (EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, UnpicklingError) as error:
        raise SettingError(f"{path / RESUME}: damaged; move the file away to train from the beginning") from error
    return rows


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's metadata. Raises SettingError where it cannot be read."""
    try:
        metadata: dict[str, Any] = json.loads((path / METADATA).read_text())
        trained = metadata["trained_as"]
        trained["model"], metadata["weights"], metadata["num_classes"]
        if "precision" not in trained.get("trainer", {}):
            trained["trainer"] = trained.get("trainer", {}) | _named_precision(metadata)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(f"{path / METADATA}: not a checkpoint's metadata; train it again") from error
    return metadata


def _named_precision(metadata: dict[str, Any]) -> dict[str, Any]:
    """What trained_as says of the precision; checkpoints from before it did were bf16-mixed where a GPU made them."""
    precision = metadata.get("trainer", {}).get("precision", "32-true")
    return {} if precision == "32-true" else {"precision": precision}


def train_command(settings: Settings) -> str:
    """The command that would train what this configuration asks for, as it was typed where that is known."""
    if HydraConfig.initialized():
        typed = [text for text in HydraConfig.get().overrides.task if _key(text) in TRAINING_KEYS]
        return command("train", typed)
    arguments = settings.noise.arguments if settings.noise else {}
    noise = [f"noise.{key}={value}" for key, value in arguments.items()]
    return command("train", [f"experiment={settings.name}", *noise])


def state_hash(model: nn.Module) -> str:
    """Of a model's parameters, buffers and other tensors that it holds, with their names."""
    content = hashlib.sha256()
    tensors = dict(model.state_dict())
    for place, module in model.named_modules():
        held = {**dict(module.named_buffers(recurse=False)), **vars(module)}
        tensors |= {f"{place}.{name}".lstrip("."): each for name, each in held.items() if isinstance(each, Tensor)}
    for name, value in tensors.items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()[:16]


def weights_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def described(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """`trained_as` without the trainer: what a checkpoint must have been trained as to be certified."""
    data = {key: value for key, value in description(settings.dataset).items() if key not in NOT_TRAINING}
    if dataset.cached_fingerprint:
        data["fingerprint"] = dataset.cached_fingerprint
    normalisation = None
    if isinstance(dataset, LabelledDataset):
        normalisation = {"mean": list(dataset.mean), "std": list(dataset.std)}
    clean = settings.trainer and not settings.trainer.get("noisy", True)
    if settings.trainer and not clean and not settings.noise:
        raise SettingError("noise: training under noise needs one, such as noise=gaussian; or set trainer.noisy=false")
    return {
        "dataset": data,
        "model": description(settings.model, code=False),
        "normalisation": normalisation,
        "noise": description(settings.noise) if settings.noise and not clean else None,
    }


def written(described: dict[str, Any] | None) -> str:
    """{"type": "Gaussian", "sigma": 0.25} as Gaussian(sigma=0.25)."""
    if described is None:
        return "none"
    arguments = ", ".join(f"{key}={value}" for key, value in described.items() if key not in NOT_SETTINGS)
    return f"{described.get('type', '')}({arguments})"


def _key(override: str) -> str:
    """The first part of the key of `++key.more=value`."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0]
