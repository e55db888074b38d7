"""The data that a checkpoint was trained on: a short hash, comparisons with it, and examples that were trained on."""

import copy
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.data import Images, LabelledImages, TargetDataset
from experiments.data.base import example
from experiments.training.trainer import Trainer
from smoothing import SettingError

KEY = "data"  # of the hash, in a checkpoint's metadata
SAMPLE = 32  # inputs that are hashed if they are not in memory
LARGEST = 200_000_000  # numbers that are searched for examples
ROWS = 4096  # inputs that are searched at once


def training_images(dataset: TargetDataset, trainer: Trainer) -> LabelledImages:
    """The inputs to train on. Raises SettingError if they are not what the class declares, or less than a batch."""
    images = dataset.training()
    dataset.require_images(images, "training()")
    if len(images) < trainer.batch_size:
        raise SettingError(
            f"trainer.batch_size: expected at most {len(images)}, the number of training images, "
            f"got {trainer.batch_size}"
        )
    return images


def data_hash(dataset: TargetDataset, images: LabelledImages) -> str:
    """A short hash of the inputs to train on, before augmentation, and of their targets.

    All inputs count if they are in memory, otherwise their number and an evenly spaced sample. It is empty if the data
    set's own fingerprint, which is part of the checkpoint's name, tells its contents.
    """
    if dataset.cached_fingerprint:
        return ""
    content = hashlib.sha256(f"{len(images)} {dataset.levels}".encode())
    _add(content, images.labels)
    if isinstance(images, Images):
        _add(content, images.pixels)
    else:
        chosen = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).astype(np.int64)
        for each in images.contents(chosen):
            _add(content, each)
    return content.hexdigest()[:16]


def _add(content: Any, value: Tensor | bytes) -> None:
    """Add bytes, or a tensor's type, shape and numbers, to a hash, without a copy of them."""
    if isinstance(value, bytes):
        content.update(value)
        return
    content.update(f"{value.dtype} {tuple(value.shape)}".encode())
    content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def require_same_data(path: Path, metadata: dict[str, Any], dataset: Any, advice: str = "") -> None:
    """Raises SettingError if a checkpoint was trained on other inputs than those of `training()` now.

    Earlier checkpoints hold no hash and are accepted. If the inputs cannot be read, one line on stderr says so.

    Args:
        path: the checkpoint's folder.
        metadata: its metadata.
        dataset: the data set now.
        advice: end of the message: what else to do.
    """
    if not metadata.get(KEY) or not isinstance(dataset, TargetDataset):
        return
    try:
        images = dataset.training()
        dataset.require_images(images, "training()")
        found = data_hash(dataset, images)
    except Exception as error:  # of the user's code, which nothing else calls for a trained network
        print(
            f"checkpoint '{path}': not compared with the training data, which cannot be read: {type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}",
            file=sys.stderr,
        )
        return
    require_same_hash(path, metadata[KEY], found, advice)


def require_same_hash(path: Path, earlier: str, found: str, advice: str = "") -> None:
    """Raises SettingError if both hashes are known and differ."""
    if earlier and found and earlier != found:
        raise SettingError(
            f"dataset: the training data are not those that checkpoint '{path}' was trained on; set another "
            f"checkpoints.root to train on these, or delete the folder to train again{advice}"
        )


def warn_of_trained_examples(dataset: TargetDataset, images: LabelledImages) -> None:
    """Warn on stderr if examples to certify are inputs to train on. It does nothing if there are too many numbers."""
    if not isinstance(images, Images) or images.pixels.numel() > LARGEST:
        return
    dataset = copy.copy(dataset)  # which alone keeps the test inputs in memory
    try:
        indices = dataset.indices()
        if len(indices) * images.pixels[:1].numel() > LARGEST:
            return
        certified = [_row(example(dataset, index)) for index in indices]
    except Exception:  # certify.py names the fault
        return
    wanted, found = set(certified), set()
    for pixels in images.pixels.split(ROWS):
        found |= wanted.intersection(map(_row, pixels.to(torch.float32) / (dataset.levels or 1)))
    if count := sum(row in found for row in certified):
        print(
            f"warning: dataset: {count} of {len(certified)} examples to certify are also training inputs; leave them "
            "out of training() or of indices()",
            file=sys.stderr,
        )


def _row(value: Tensor) -> bytes:
    return value.to(torch.float32).contiguous().numpy().tobytes()
