"""How a base classifier is trained: the settings of the trainer group."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import nn

from smoothing import SettingError


class Purpose(IntEnum):
    """What random numbers are drawn for. The numbers are part of what a seed means."""

    ORDER = 0
    READING = 1
    AUGMENTATION = 2
    NOISE = 3
    TEST = 4


@dataclass(frozen=True)
class Trainer:
    """Cross entropy on noisy images, learning rate lowered in steps.

    Args:
        epochs: passes over the training images; those that do not fill a last batch sit an epoch out.
        batch_size: images a step, over all processes.
        lr: learning rate of the first epochs.
        lr_step: multiply it by lr_factor every so many epochs.
        seed: of weights, order, augmentation and noise.
        optimizer: sgd (with momentum) or adam.
        momentum: of sgd.
        weight_decay: of either.
        lr_factor: see lr_step.
        crop_padding: crop at random from the image padded by so many zeros on each side; 0 for no crop.
        flip: mirror every other image at random.
        noisy: train under the run's noise; false for a classifier trained on clean images.
        devices: processes on this machine, one a GPU.
        nodes: machines; srun or torchrun starts their processes.
        precision: Lightning Fabric's name of the arithmetic, or auto: bf16-mixed on GPUs and 32-true elsewhere.
        workers: processes that read files for each of those, where images do not fit in memory.

    Raises:
        SettingError: a value out of its range.
    """

    epochs: int
    batch_size: int
    lr: float
    lr_step: int
    seed: int = 0
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    lr_factor: float = 0.1
    crop_padding: int = 0
    flip: bool = False
    noisy: bool = True
    devices: int = 1
    nodes: int = 1
    precision: str = "auto"
    workers: int = 8

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr_step", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise SettingError(f"trainer.{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("seed", "momentum", "weight_decay", "crop_padding", "workers"):
            if getattr(self, name) < 0:
                raise SettingError(f"trainer.{name}: expected at least 0, got {getattr(self, name)}")
        if not 0 < self.lr < float("inf"):
            raise SettingError(f"trainer.lr: expected a positive number, got {self.lr}")
        if self.optimizer not in ("sgd", "adam"):
            raise SettingError(f"trainer.optimizer: expected sgd or adam, got {self.optimizer}")
        if self.batch_size % self.processes:
            raise SettingError(
                f"trainer.batch_size: {self.batch_size} images cannot be shared evenly by {self.processes} processes"
            )

    @property
    def processes(self) -> int:
        return self.devices * self.nodes

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.Adam(model.parameters(), self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(model.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay)

    def learning_rate(self, epoch: int) -> float:
        """In epoch 0, 1, ..."""
        return self.lr * self.lr_factor ** (epoch // self.lr_step)

    def key(self, purpose: Purpose, epoch: int = 0, step: int = 0) -> np.random.SeedSequence:
        """Key of random numbers. Of four words, so it is none of a certificate's, which are of three."""
        return np.random.SeedSequence(self.seed, spawn_key=(purpose, epoch, step, 0))
