"""Checkpoints: checkpoints.root/<data set>-<model>-<noise>-<hash of `trained_as`>/.

weights.safetensors   the network's weights
checkpoint.json       training settings, commit, device and test results; written last
training.csv          loss, and a classifier's accuracy, of each epoch
resume.pt             the state from which training resumes; removed when training has finished
training.lock         the lock of the process that trains

certify.py derives the path from its own configuration, so users need not type it; see `weights`.
"""

import csv
import hashlib
import io
import json
import re
import sys
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from experiments.config.command_line import command, key_of
from experiments.config.identity import NOT_SETTINGS, description, identity_hash
from experiments.config.settings import Settings
from experiments.config.user_code import code_hash
from experiments.data import Dataset, LabelledDataset
from experiments.machine.files import write_atomically
from experiments.training.held_numbers import held_numbers, plain_tensors
from experiments.training.training_data import KEY, require_same_hash
from smoothing import SettingError

WEIGHTS, METADATA, LOG, RESUME = "weights.safetensors", "checkpoint.json", "training.csv", "resume.pt"
LOCK = "training.lock"
Rows = list[dict[str, Any]]  # of the log
NOT_TRAINING = ("step", "count", "seed")  # a data set's arguments that choose what to certify, not what to train on
TRAINING_KEYS = ("experiment", "dataset", "model", "noise", "trainer", "seed", "checkpoints")


def trained_as(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """The identity of a checkpoint: data set, model, normalisation, noise (None if clean) and trainer with its seed.

    Raises:
        SettingError: no trainer is chosen.
    """
    if not settings.trainer:
        raise SettingError("trainer: expected a choice, such as trainer=digits or trainer=sgd_step, got none")
    return training_conditions(settings, dataset) | {"trainer": description(settings.trainer)}


def folder(settings: Settings, dataset: Dataset) -> Path:
    """The checkpoint's folder for these settings."""
    return folder_of(trained_as(settings, dataset), settings)


def folder_of(identity: dict[str, Any], settings: Settings) -> Path:
    """The checkpoint's folder for a `trained_as`."""
    # sigma0.25, not sigma=0.25, because checkpoint=<path> needs quotes if the path contains "="
    noise = identity["noise"] or {"clean": ""}
    said = [f"{key}{value}" for key, value in noise.items() if key not in NOT_SETTINGS]
    names = [identity["dataset"]["type"], identity["model"]["type"], *said, identity_hash(identity)]
    return Path(settings.checkpoints.root) / "-".join(names)


def save(path: Path, model: nn.Module, metadata: dict[str, Any]) -> None:
    """Write the weights and then the metadata, which marks the checkpoint as finished."""
    plain = torch.contiguous_format
    weights = {  # cloned, because safetensors refuses tied weights: one memory under two names
        name: value.detach().cpu().clone(memory_format=plain) for name, value in model.state_dict().items()
    }
    write_atomically(path / WEIGHTS, as_safetensors(weights))
    text = json.dumps(metadata | {"weights": weights_hash(path / WEIGHTS)}, indent=2) + "\n"
    write_atomically(path / METADATA, text.encode())


def keep(
    path: Path,
    modules: list[nn.Module],
    optimizers: list[torch.optim.Optimizer],
    rows: Rows,
    code: str = "",
    data: str = "",
) -> None:
    """After an epoch, write the log, one row per epoch, and the state to resume from, each completely or not at all.

    Args:
        path: the checkpoint's folder.
        modules: the model, and the average of its weights if there is one.
        optimizers: all of them.
        rows: the log.
        code: hash of the source of the user's model; empty for the suite's own.
        data: hash of the training data (`data_hash`).
    """
    log = io.StringIO()
    writer = csv.DictWriter(log, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # The log comes first. If the process is killed in between, the epoch and its row are simply repeated.
    write_atomically(path / LOG, log.getvalue().encode())
    states = {
        "modules": [each.state_dict() for each in modules],
        "optimizers": [each.state_dict() for each in optimizers],
    }
    state = io.BytesIO()
    torch.save(states | {"rows": rows, "code": code, KEY: data}, state)
    write_atomically(path / RESUME, state.getvalue())


def resume(
    path: Path, modules: list[nn.Module], optimizers: list[torch.optim.Optimizer], code: str = "", data: str = ""
) -> Rows:
    """Load the state that `keep` wrote last. Returns the log so far, empty if there is no such state.

    Code in the file is never executed. It warns on stderr if the state was written under other source than `code`.

    Raises:
        SettingError: the state is damaged or of another network, or was trained on other data than `data`.
    """
    if not (path / RESUME).exists():
        return []
    try:
        state = torch.load(path / RESUME, map_location="cpu", weights_only=True)
        earlier = [state["model"]] if "model" in state else state["modules"]  # one model, in earlier versions
        for module, kept in zip(modules, earlier, strict=True):
            module.load_state_dict(kept)
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        rows: Rows = state["rows"]
    except (EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, UnpicklingError) as error:
        raise SettingError(f"{path / RESUME}: damaged; move the file away to train from the beginning") from error
    require_same_hash(path, state.get(KEY, ""), data)
    if code and state.get("code", code) != code:
        print(
            f"checkpoint '{path}': the source of the model has changed since epoch {len(rows)}; "
            "delete the folder to train from the beginning",
            file=sys.stderr,
        )
    return rows


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's metadata. Raises SettingError if it cannot be read."""
    try:
        metadata: dict[str, Any] = json.loads((path / METADATA).read_text())
        trained = metadata["trained_as"]
        trained["model"], metadata["weights"], metadata["num_classes"]
        if "precision" not in trained.get("trainer", {}):
            trained["trainer"] = trained.get("trainer", {}) | _named_precision(metadata)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(f"{path / METADATA}: not the metadata of a checkpoint; train it again") from error
    return metadata


def _named_precision(metadata: dict[str, Any]) -> dict[str, Any]:
    """The precision of earlier checkpoints, whose `trained_as` lacks it; those made on a GPU used bf16-mixed."""
    precision = metadata.get("trainer", {}).get("precision", "32-true")
    return {} if precision == "32-true" else {"precision": precision}


def train_command(settings: Settings) -> str:
    """The command that trains the checkpoint for these settings, with the overrides as typed, if known."""
    if HydraConfig.initialized():
        typed = HydraConfig.get().overrides.task
        return command("train", (word for word in typed if re.split("[.@]", key_of(word))[0] in TRAINING_KEYS))
    arguments = settings.noise.arguments if settings.noise else {}
    noise = [f"noise.{key}={value}" for key, value in arguments.items()]
    return command("train", [f"experiment={settings.name}", *noise])


def say_trained(path: Path, settings: Settings) -> None:
    """Say on stderr that a finished checkpoint is only read, or that the source of its model has changed."""
    if not warn_of_changed_source(path, read(path), settings):
        print(f"checkpoint '{path}' is trained already; delete the folder to train again", file=sys.stderr)


def warn_of_changed_source(path: Path, metadata: dict[str, Any], settings: Settings) -> bool:
    """Warn on stderr if the source of the user's model has changed since training. Returns whether it has.

    Earlier checkpoints, and those of the suite's own models, hold no hash of it.
    """
    changed = "code" in metadata and metadata["code"] != code_hash(settings.model.as_dict())
    if changed:
        print(
            f"checkpoint '{path}': the source of {settings.model.name} has changed since it was trained; "
            "delete the folder to train again",
            file=sys.stderr,
        )
    return changed


def state_hash(model: nn.Module) -> str:
    """Hash of the numbers that a model holds, with their names: parameters, buffers and what `held_numbers` finds."""
    content = hashlib.sha256()
    tensors = dict(model.state_dict())
    for place, module in model.named_modules():
        held = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
        held |= vars(module)
        tensors |= {f"{place}.{name}".lstrip("."): each for name, each in held.items() if isinstance(each, Tensor)}
    registered = [part for name, each in tensors.items() for part in plain_tensors(name, each)]
    for name, value in [*registered, *held_numbers(model)]:
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        if isinstance(value, Tensor):
            value = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        content.update(value.tobytes())
    return content.hexdigest()[:16]


def weights_hash(file: Path) -> str:
    """Hash of a file of weights. Raises OSError if it cannot be read."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def training_conditions(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """`trained_as` without the trainer: what must match between a checkpoint and a certification."""
    data = {key: value for key, value in description(settings.dataset).items() if key not in NOT_TRAINING}
    if dataset.cached_fingerprint:
        data["fingerprint"] = dataset.cached_fingerprint
    normalisation = None
    if isinstance(dataset, LabelledDataset):
        normalisation = {"mean": list(dataset.mean), "std": list(dataset.std)}
    clean = settings.trainer and not settings.trainer.get("noisy", True)
    if settings.trainer and not clean and not settings.noise:
        raise SettingError("noise: expected a choice for training, such as noise=gaussian; or set trainer.noisy=false")
    return {
        "dataset": data,
        "model": description(settings.model, code=False),
        "normalisation": normalisation,
        "noise": description(settings.noise) if settings.noise and not clean else None,
    }


def written(described: dict[str, Any] | None) -> str:
    """A group's description for messages: {"type": "Gaussian", "sigma": 0.25} becomes Gaussian(sigma=0.25)."""
    if described is None:
        return "none"
    arguments = ", ".join(f"{key}={value}" for key, value in described.items() if key not in NOT_SETTINGS)
    return f"{described.get('type', '')}({arguments})"
