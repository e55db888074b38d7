"""Train a base classifier: the settings of the trainer group, and the loss."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.data import Dataset, TargetDataset
from experiments.training.step_noise import Purpose, StepNoise, key
from smoothing import SettingError
from smoothing.outputs import not_tensor

OPTIMIZERS = ("sgd", "adam", "adamw")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "auto")


@dataclass(frozen=True)
class Trainer:
    """Cross entropy on noisy images, plus stability training (Li et al. 2019) if `stability` > 0.

    Args:
        epochs: passes over the training images; an incomplete last batch is dropped.
        batch_size: images per step, over all processes.
        lr: initial learning rate.
        lr_step: with schedule=step, multiply the learning rate by lr_factor every lr_step epochs.
        seed: seed of the weights, order, augmentation and noise.
        optimizer: sgd (with momentum), adam, or adamw (with decoupled weight decay).
        momentum: momentum of sgd.
        nesterov: whether sgd uses Nesterov momentum.
        weight_decay: weight decay.
        clip_norm: before each step, scale the gradient to at most this l2 norm; 0 for no limit.
        ema_decay: certify the exponential moving average of the weights after each step, with this decay, in [0, 1); 0
            for the last weights.
        schedule: learning rate schedule: step, or cosine: lr / 2 (1 + cos(pi epoch / epochs)) in epoch 0, 1, ...
        lr_factor: see lr_step.
        crop_padding: pad each side with this number of zeros, then crop at random; 0 for no crop.
        flip: flip images horizontally with probability 1/2.
        noisy: train under the run's noise; false: train on clean images.
        stability: weight of the Kullback-Leibler term of `objective`, >= 0; 6 in Yang et al. (2020). Needs noisy.
        devices: processes on this machine, one per GPU.
        nodes: number of machines; srun or torchrun starts their processes.
        precision: Lightning Fabric's name of the arithmetic: 32-true, which is float32 on GPUs too, not TF32; or
            bf16-mixed, 16-mixed, bf16-true, 16-true, 64-true. Each choice makes a checkpoint of its own. `auto`, from
            earlier configurations, means 32-true.
        workers: processes per training process that read files, if images do not fit in memory.

    Attributes:
        judged_by: name of the value of `judge` in the log and the checkpoint's metadata.
        uses_stability: whether the loss has the term of `stability`. If not, stability > 0 is refused.
        replayable: whether `objective` does the same operations in each step of an epoch, with no numbers from the host
            that change. Then one GPU replays a recorded step (`graphed`), which is faster. A subclass with an objective
            of its own sets it again to say so. A model or a part of it may have replayable = False.
        not_identity: arguments that are not part of a checkpoint's identity.

    Raises:
        SettingError: a value is out of its range.
    """

    judged_by: ClassVar[str] = "accuracy"
    not_identity: ClassVar[tuple[str, ...]] = ("devices", "nodes", "workers")
    uses_stability: ClassVar[bool] = True
    replayable: ClassVar[bool] = True

    epochs: int
    batch_size: int
    lr: float
    lr_step: int = 30
    seed: int = 0
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    schedule: str = "step"
    lr_factor: float = 0.1
    crop_padding: int = 0
    flip: bool = False
    noisy: bool = True
    stability: float = 0.0
    devices: int = 1
    nodes: int = 1
    precision: str = "32-true"
    workers: int = 8

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr_step", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise SettingError(f"trainer.{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("seed", "momentum", "weight_decay", "crop_padding", "workers"):
            if getattr(self, name) < 0:
                raise SettingError(f"trainer.{name}: expected at least 0, got {getattr(self, name)}")
        self.require_that(
            ("lr", 0 < self.lr < math.inf, "a positive number"),
            ("optimizer", self.optimizer in OPTIMIZERS, "sgd, adam or adamw"),
            ("schedule", self.schedule in ("step", "cosine"), "step or cosine"),
            ("clip_norm", 0 <= self.clip_norm < math.inf, "a finite number >= 0"),
            ("ema_decay", 0 <= self.ema_decay < 1, "at least 0 and less than 1"),
            ("stability", 0 <= self.stability < math.inf, "a finite number >= 0"),
            ("stability", self.uses_stability or not self.stability, f"0 with {type(self).__name__}"),
            ("stability", self.noisy or not self.stability, "0 with trainer.noisy=false"),
            (
                "nesterov",
                not self.nesterov or self.optimizer == "sgd",
                f"false with trainer.optimizer={self.optimizer}",
            ),
            ("nesterov", not self.nesterov or self.momentum > 0, "false with trainer.momentum=0"),
            ("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS[:-1])}"),
        )
        if self.batch_size % self.processes:
            raise SettingError(
                f"trainer.batch_size: expected a multiple of {self.processes}, the number of processes, got "
                f"{self.batch_size}"
            )

    def require_that(self, *checks: tuple[str, object, str]) -> None:
        """Raises SettingError for the first setting that does not fit: its name, whether it fits, what is expected."""
        for name, fits, expected in checks:
            if not fits:
                raise SettingError(f"trainer.{name}: expected {expected}, got {getattr(self, name)}")

    def require_at_least(self, least: float, *names: str) -> None:
        """Raises SettingError if a setting is below `least` or not finite."""
        for name in names:
            if not least <= getattr(self, name) < math.inf:
                raise SettingError(f"trainer.{name}: expected at least {least:g}, got {getattr(self, name)}")

    def require_positive(self, *names: str) -> None:
        """Raises SettingError if a setting is not a positive number."""
        for name in names:
            if not 0 < getattr(self, name) < math.inf:
                raise SettingError(f"trainer.{name}: expected a positive number, got {getattr(self, name)}")

    @property
    def processes(self) -> int:
        return self.devices * self.nodes

    def require(self, model: nn.Module) -> None:
        """Raises SettingError if this trainer cannot train the model. This base class accepts any `nn.Module`."""
        if not isinstance(model, nn.Module):
            raise SettingError(f"model: expected a torch.nn.Module to train, got {type(model).__name__}")

    def require_classes(self, dataset: Dataset) -> None:
        """Raises SettingError if the data set has no training inputs, or fewer than two classes for a classifier."""
        if not isinstance(dataset, TargetDataset):
            raise SettingError(
                "dataset: expected a class derived from experiments.data.LabelledDataset or TargetDataset to train on, "
                f"got {type(dataset).__name__}; see docs/add_a_data_set.md"
            )
        if type(self).judge is Trainer.judge and len(dataset.classes) < 2:
            raise SettingError(
                f"dataset: expected at least two classes to train a classifier, got {len(dataset.classes)} in "
                f"{type(dataset).__name__}"
            )

    def make_optimizers(self, model: nn.Module) -> list[torch.optim.Optimizer]:
        """One optimizer per phase of the training, in order. This base class has one phase."""
        return [self._optimizer(self.optimizer, self.lr, model)]

    def phase(self, epoch: int) -> int:
        """Index of the optimizer that is used in epoch 0, 1, ..."""
        return 0

    def learning_rate(self, epoch: int) -> float:
        """The learning rate in epoch 0, 1, ..."""
        return self._scheduled(self.lr, epoch, self.epochs)

    def set_mode(self, model: nn.Module, epoch: int) -> None:
        """Put the model into training or evaluation mode for an epoch."""
        model.train()

    def targets(self, images: Tensor, labels: Tensor) -> Tensor:
        """The targets of the outputs, (b, ...): here the labels, (b,), int64. Images are clean, (b, C, H, W)."""
        return labels

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The loss to minimise on a batch, and the outputs for `judge`.

            cross entropy(p_1, labels) + stability * KL(p_1 || p_2),    KL(p || q) = sum_c p_c log(p_c / q_c),

        where p_1 and p_2 are the classifier's probabilities on two independent noisy copies of each image. This is
        stability training (Li et al. 2019, "Certified Adversarial Robustness with Additive Noise"), in the form of Yang
        et al. (2020) and Levine and Feizi (2021). As in their code, gradients flow through both copies, and each copy
        has its own forward pass, so batch normalisation uses the mean and variance of each copy.

        To define another training method, override this method in a subclass; docs/add_a_trainer.md shows an example.
        It is called once per step, in each process, on its share of the batch, under the autocast of `precision`. It
        may call the model any number of times, and take gradients with respect to inputs (`torch.autograd.grad`,
        `frozen`).

        Args:
            model: the classifier, not wrapped, in the mode of `set_mode`.
            x: clean inputs, (b, *input shape), float32: images in [0, 1], (b, C, H, W), or `model.measure(images)`.
            labels: the result of `targets`, (b,), int64.
            noise: `noise(x, purpose, k)` is x with the k-th noise for a purpose, see `StepNoise`.
            epoch: 0, 1, ...

        Returns:
            The mean loss over the batch, (), and scores, (b, num_classes).

        Raises:
            SettingError: the model's outputs are not scores.
        """
        scores = model(noise(x, Purpose.NOISE))
        self._require_scores(scores)
        loss = functional.cross_entropy(scores, labels)
        if self.stability:
            other = model(noise(x, Purpose.SECOND_NOISE))
            first, second = (functional.log_softmax(z, dim=1) for z in (scores, other))
            loss = loss + self.stability * functional.kl_div(second, first, reduction="batchmean", log_target=True)
        return loss, scores

    def scores_of_copies(self, model: nn.Module, x: Tensor, noise: StepNoise, copies: int) -> Tensor:
        """The scores of noisy copies of each input, in one forward pass: (copies, b, num_classes).

        Copy k has the k-th noise of the step. Raises SettingError if the model's outputs are not scores.
        """
        scores: Tensor = model(torch.cat([noise(x, k=k) for k in range(copies)]))
        self._require_scores(scores)
        return scores.unflatten(0, (copies, len(x)))

    def _require_scores(self, outputs: Any) -> None:
        """Raises SettingError unless the outputs are scores, (b, num_classes)."""
        self._require_tensor(outputs)
        if outputs.dim() == 2:
            return
        got = "one number; return scores, not class numbers"
        if outputs.dim() > 1:
            got = f"outputs of shape {tuple(outputs.shape[1:])}; use trainer=autoencoder"
        raise SettingError(f"trainer: {type(self).__name__} expected a vector of scores for each image, got {got}")

    def _require_tensor(self, outputs: Any) -> None:
        """Raises SettingError unless the model's outputs are a tensor."""
        if not isinstance(outputs, Tensor):
            raise SettingError(
                f"trainer: {type(self).__name__} expected a tensor of the model's outputs, got {not_tensor(outputs)}"
            )

    def judge(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """A value per image, whose mean is reported, (b,), float64: 1 if the most probable class is right, else 0.

        Args:
            outputs: the model's outputs, (b, num_classes).
            labels: the result of `targets`, (b,).

        Raises:
            SettingError: the outputs are not scores.
        """
        self._require_tensor(outputs)
        if outputs.dim() != 2:
            raise SettingError(
                f"trainer: {type(self).__name__} expected scores of shape ({len(labels)}, num_classes) as outputs, got "
                f"{tuple(outputs.shape)}; return one row of scores for each input, or override judge"
            )
        return (outputs.argmax(dim=1) == labels).double()

    def key(self, purpose: Purpose, epoch: int = 0, step: int = 0) -> np.random.SeedSequence:
        """Key of random numbers, see `step_noise.key`."""
        return key(self.seed, purpose, epoch, step)

    def _optimizer(self, name: str, lr: float, model: nn.Module) -> torch.optim.Optimizer:
        if not any(True for _ in model.parameters()):
            raise SettingError(f"model: {type(model).__name__} has no parameters, so there is nothing to train")
        if name != "sgd":
            kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
            return kind(model.parameters(), lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            model.parameters(), lr, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )

    def _scheduled(self, lr: float, epoch: int, epochs: int) -> float:
        """Learning rate in epoch 0, ..., epochs - 1 of a phase with initial learning rate lr."""
        if self.schedule == "cosine":
            return lr / 2 * (1 + math.cos(math.pi * epoch / epochs))
        return lr * self.lr_factor ** (epoch // self.lr_step)
