"""SmoothMix (Jeong et al. 2021): mix images with adversarial ones, and labels with the uniform distribution."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.frozen import frozen
from experiments.training.smooth_adv_trainer import direction, soft_loss
from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer


@dataclass(frozen=True)
class SmoothMixTrainer(Trainer):
    """Cross entropy on noisy copies, and a mixup term towards an unrestricted adversarial image.

    Args: those of `Trainer`, and
        copies: m, noisy copies of each image, at least 1. The attack and both terms use the same noises.
        steps: T, of the attack, at least 1.
        step_size: alpha, l2 length of a step, in the units of the input, > 0.
        weight: eta, of the mixup term, >= 0.
        warmup: number of first epochs in which the weight grows linearly to eta, at least 1.

    Raises:
        SettingError: a value is out of its range.
    """

    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    copies: int = 4
    steps: int = 4
    step_size: float = 1.0
    weight: float = 5.0
    warmup: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "copies", "steps", "warmup")
        self.require_at_least(0, "weight")
        self.require_positive("step_size")

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The paper's loss, as in the authors' code.

        It is the mean over images and copies of

            CE(f(x + delta_k), label) + eta 1[p is right] KL(y_mix || f(x_mix + delta_k)),

        where p is the mean of the copies' probabilities on x, lambda is uniform on [0, 1/2],
        x_mix = (1 - lambda) x + lambda x' with the adversarial image x', and y_mix = (1 - lambda) p + lambda uniform.
        Gradients flow through p, as in the authors' code.
        """
        noise = noise.drawn_once()
        attacked = self.attack(model, x, labels, noise)
        scores = self.scores_of_copies(model, x, noise, self.copies)
        p = scores.softmax(dim=2).mean(dim=0)
        share = noise.uniform_like(x.flatten(1)[:, :1]) / 2  # lambda, (b, 1)
        y_mix = (1 - share) * p + share / p.shape[1]
        x_mix = x + share[:, :, None, None] * (attacked - x)
        mixed = functional.log_softmax(self.scores_of_copies(model, x_mix, noise, self.copies), dim=2)
        divergence = functional.kl_div(mixed, y_mix.expand_as(mixed), reduction="none").sum(dim=2)
        right = p.argmax(dim=1) == labels
        weight = min(1.0, (epoch + 1) / self.warmup) * self.weight
        loss = functional.cross_entropy(scores.flatten(0, 1), labels.repeat(self.copies))
        return loss + weight * (right * divergence).mean(), scores[0]

    def attack(self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise) -> Tensor:
        """The adversarial image x' after T steps along the normalised gradient, clamped to [0, 1].

        Args and shapes: see `SmoothAdvTrainer.attack`. There is no bound on the distance from x but T alpha.
        """
        attacked, spare = x, noise.uniform_like(x, k=1) - 0.5
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                attacked = attacked.detach().requires_grad_()
                loss = soft_loss(self.scores_of_copies(model, attacked, noise, self.copies), labels)
                (gradient,) = torch.autograd.grad(loss, attacked)
                moved = attacked.detach() + self.step_size * direction(gradient, spare)
                attacked = moved.clamp(0, 1)
        return attacked.detach()
