"""How a base classifier is trained: the settings of the trainer group."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import Purpose, StepNoise, key
from smoothing import SettingError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "auto")


@dataclass(frozen=True)
class Trainer:
    """Cross entropy on noisy images, with stability training (Li et al. 2019) where `stability` > 0.

    Args:
        epochs: passes over the training images; those that do not fill a last batch sit an epoch out.
        batch_size: images a step, over all processes.
        lr: learning rate of the first epochs.
        lr_step: multiply it by lr_factor every so many epochs; of schedule step only.
        seed: of weights, order, augmentation and noise.
        optimizer: sgd (with momentum) or adam.
        momentum: of sgd.
        nesterov: Nesterov's momentum; of sgd.
        weight_decay: of either.
        schedule: of the learning rate: step, or cosine: lr / 2 (1 + cos(pi epoch / epochs)) in epoch 0, 1, ...
        lr_factor: see lr_step.
        crop_padding: crop at random from the image padded by so many zeros on each side; 0 for no crop.
        flip: mirror every other image at random.
        noisy: train under the run's noise; false for a classifier trained on clean images.
        stability: weight of the Kullback-Leibler term of `objective`, >= 0; 6 in Yang et al. (2020). Needs noisy.
        devices: processes on this machine, one a GPU.
        nodes: machines; srun or torchrun starts their processes.
        precision: of the arithmetic, by Lightning Fabric's name: 32-true, which is float32 on GPUs too, not TF32; or
            bf16-mixed, 16-mixed, bf16-true, 16-true, 64-true. Any but 32-true makes another checkpoint. `auto`, in
            configurations from before this, is 32-true.
        workers: processes that read files for each of those, where images do not fit in memory.

    Attributes:
        judged_by: what `judge` gives, as the log and the checkpoint's metadata call it.

    Raises:
        SettingError: a value out of its range.
    """

    judged_by: ClassVar[str] = "accuracy"

    epochs: int
    batch_size: int
    lr: float
    lr_step: int = 30
    seed: int = 0
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
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
        for name, fits, expected in (
            ("lr", 0 < self.lr < math.inf, "a positive number"),
            ("optimizer", self.optimizer in ("sgd", "adam"), "sgd or adam"),
            ("schedule", self.schedule in ("step", "cosine"), "step or cosine"),
            ("stability", 0 <= self.stability < math.inf, "a number of at least 0"),
            ("stability", self.noisy or not self.stability, "0 with trainer.noisy=false"),
            ("nesterov", not self.nesterov or self.optimizer == "sgd", "false with trainer.optimizer=adam"),
            ("nesterov", not self.nesterov or self.momentum > 0, "false with trainer.momentum=0"),
            ("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS[:-1])}"),
        ):
            if not fits:
                raise SettingError(f"trainer.{name}: expected {expected}, got {getattr(self, name)}")
        if self.batch_size % self.processes:
            raise SettingError(
                f"trainer.batch_size: {self.batch_size} images cannot be shared evenly by {self.processes} processes"
            )

    @property
    def processes(self) -> int:
        return self.devices * self.nodes

    def require(self, model: nn.Module) -> None:
        """Raises SettingError where this trainer cannot train the model; this one trains any."""

    def make_optimizers(self, model: nn.Module) -> list[torch.optim.Optimizer]:
        """An optimizer for each phase of the training, in order; here there is one phase."""
        return [self._optimizer(self.optimizer, self.lr, model)]

    def phase(self, epoch: int) -> int:
        """Which of the optimizers steps in epoch 0, 1, ..."""
        return 0

    def learning_rate(self, epoch: int) -> float:
        """In epoch 0, 1, ..."""
        return self._scheduled(self.lr, epoch, self.epochs)

    def set_mode(self, model: nn.Module, epoch: int) -> None:
        """Put the model into the mode, training or evaluation, that an epoch wants."""
        model.train()

    def targets(self, images: Tensor, labels: Tensor) -> Tensor:
        """What outputs are compared with, (b, ...): the labels, (b,), int64. Images are clean, (b, C, H, W)."""
        return labels

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The loss to minimise on a batch, and the outputs that it is judged by.

            cross entropy(p_1, labels) + stability * KL(p_1 || p_2),    KL(p || q) = sum_c p_c log(p_c / q_c),

        where p_1 and p_2 are the classifier's probabilities on two independent noisy copies of each image: stability
        training (Li et al. 2019, "Certified Adversarial Robustness with Additive Noise") as Yang et al. (2020) and
        Levine and Feizi (2021) do it. Gradients flow through both copies, and each has a forward pass of its own, as
        theirs: batch normalisation normalises each copy by its own mean and variance.

        A subclass that overrides this method is another training method; docs/add_a_trainer.md shows one. It is called
        once a step, in each process on its share of the batch, under the autocast of `precision`. It may call the
        model any number of times, and take gradients with respect to inputs (`torch.autograd.grad`, `frozen`).

        Args:
            model: the classifier, not wrapped, in the mode of `set_mode`.
            x: clean inputs, (b, *input shape), float32: images in [0, 1], (b, C, H, W), or what the model's `measure`
                makes of them.
            labels: (b,), int64; what `targets` returns.
            noise: `noise(x, purpose, k)` is x under the k-th noise of a purpose, see `StepNoise`.
            epoch: 0, 1, ...

        Returns:
            The mean loss over the batch, (), and scores, (b, num_classes).

        Raises:
            SettingError: the model's outputs are no scores.
        """
        scores = model(noise(x, Purpose.NOISE))
        if scores.dim() != 2:
            raise SettingError(
                f"trainer: {type(self).__name__} trains classifiers; this model gives {tuple(scores.shape[1:])} for an "
                "image. Take trainer=autoencoder"
            )
        loss = functional.cross_entropy(scores, labels)
        if self.stability:
            other = model(noise(x, Purpose.SECOND_NOISE))
            first, second = (functional.log_softmax(z, dim=1) for z in (scores, other))
            loss = loss + self.stability * functional.kl_div(second, first, reduction="batchmean", log_target=True)
        return loss, scores

    def judge(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """What the mean over many images is reported of, (b,), float64: 1 where the most probable class is right.

        Args:
            outputs: of the model, (b, num_classes).
            labels: (b,); what `targets` returns.

        Raises:
            SettingError: the outputs are no scores.
        """
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
        if name == "adam":
            return torch.optim.Adam(model.parameters(), lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            model.parameters(), lr, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )

    def _scheduled(self, lr: float, epoch: int, epochs: int) -> float:
        """Learning rate in epoch 0, ..., epochs - 1 of a phase that begins with lr."""
        if self.schedule == "cosine":
            return lr / 2 * (1 + math.cos(math.pi * epoch / epochs))
        return lr * self.lr_factor ** (epoch // self.lr_step)
