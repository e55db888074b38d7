"""Compute the hashes and class names of `Contents` for a run."""

import hashlib
from contextlib import suppress

import torch
from torch import Tensor

from experiments.config.settings import Settings
from experiments.config.user_code import code_hash
from experiments.data import Dataset, LabelledDataset, MissingDataError
from experiments.data.indices import indices_of
from experiments.runs.contents import Contents
from experiments.training.base_function import BaseFunction, tensor_of
from experiments.training.checkpoints import state_hash
from smoothing import Metric

NO_NUMBERS = hashlib.sha256().hexdigest()[:16]  # the hash of a model that holds none


def contents_of(settings: Settings, dataset: Dataset, base: BaseFunction) -> Contents:
    """The `Contents` of a run. Raises SettingError if the code of the user's model is not in a file."""
    code = code_hash(settings.model.as_dict())
    weights = "" if not isinstance(base.model, torch.nn.Module) or _in_checkpoint(base) else state_hash(base.model)
    if weights == NO_NUMBERS and code:
        weights = code  # the model is its code
    classes = list(map(str, dataset.classes)) if isinstance(dataset, LabelledDataset) else []
    examples = "" if dataset.cached_fingerprint else dataset.contents() or _examples_hash(dataset)
    return Contents(weights, examples, classes, code)


def metric_hash(metric: Metric | None) -> str:
    """Hash of the tensors, arrays and networks that a metric holds; empty if it holds none."""
    holder = torch.nn.Module()
    vars(holder)["metric"] = metric
    found = state_hash(holder)
    return "" if found == NO_NUMBERS else found


def _in_checkpoint(base: BaseFunction) -> bool:
    """Whether the checkpoint holds all weights. A part that brings its own, as in `Denoised`, is not in it."""
    return base.checkpoint is not None and dict(base.model.named_parameters()).keys() <= base.model.state_dict().keys()


def _examples_hash(dataset: Dataset) -> str:
    content, indices = hashlib.sha256(), indices_of(dataset)
    for index in dict.fromkeys([*indices[:1], *indices[len(indices) // 2 :][:1], *indices[-1:]]):
        with suppress(MissingDataError):  # `Dataset.check` names it, or skips it
            _add(content, index, tensor_of(dataset, index))
    if isinstance(dataset, LabelledDataset):
        content.update(repr([(index, dataset.label(index)) for index in indices]).encode())
    return content.hexdigest()[:16]


def input_hash(dataset: Dataset, index: int) -> str | None:
    """Hash of an example; None if the data set's fingerprint covers it, or it cannot be read."""
    if dataset.cached_fingerprint:
        return None
    try:
        return hash_of(index, tensor_of(dataset, index))
    except MissingDataError:
        return None


def hash_of(index: int, x: Tensor) -> str:
    """Hash of an example as the data set gives it, (*shape), with its index, dtype and shape."""
    content = hashlib.sha256()
    _add(content, index, x)
    return f"sha256:{content.hexdigest()[:16]}"


def _add(content: "hashlib._Hash", index: int, x: Tensor) -> None:
    content.update(f"{index} {x.dtype} {tuple(x.shape)}".encode())
    content.update(x.detach().cpu().contiguous().numpy().tobytes())
