"""SmoothAdv (Salman et al. 2019): adversarial training of the soft smoothed classifier by PGD in l2."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.frozen import frozen
from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer


@dataclass(frozen=True)
class SmoothAdvTrainer(Trainer):
    """Cross entropy on noisy copies of adversarial images.

    Args: those of `Trainer`, and
        copies: m_train, noisy copies of each image, at least 1. The attack and the loss use the same noises.
        steps: T, of the attack, at least 1.
        eps: l2 radius of the attack, in the units of the input, > 0.
        warmup: number of first epochs in which the radius grows linearly to eps, at least 1.

    Raises:
        SettingError: a value is out of its range.
    """

    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    copies: int = 4
    steps: int = 10
    eps: float = 1.0
    warmup: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "copies", "steps", "warmup")
        self.require_positive("eps")

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The mean over images and copies of CE(f(x' + delta_k), label), where x' = x + `attack`."""
        noise = noise.drawn_once()
        eps = min(1.0, (epoch + 1) / self.warmup) * self.eps
        attacked = x + self.attack(model, x, labels, noise, eps)
        scores = self.scores_of_copies(model, attacked, noise, self.copies)
        return functional.cross_entropy(scores.flatten(0, 1), labels.repeat(self.copies)), scores[0]

    def attack(self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, eps: float) -> Tensor:
        """A perturbation of at most eps that raises -log of the copies' mean probability of the label.

        Steps of length 2 eps / T along the normalised gradient, from 0. x plus the perturbation stays in [0, 1]. A
        direction is random where the gradient is 0.

        Args:
            model: the classifier.
            x: images in [0, 1], (b, C, H, W).
            labels: (b,).
            noise: the noise of the step.
            eps: l2 radius.

        Returns:
            (b, C, H, W), without gradient.
        """
        delta, spare = torch.zeros_like(x), noise.uniform_like(x) - 0.5
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                delta.requires_grad_()
                loss = soft_loss(self.scores_of_copies(model, x + delta, noise, self.copies), labels)
                (gradient,) = torch.autograd.grad(loss, delta)
                moved = delta.detach() + 2 * eps / self.steps * direction(gradient, spare)
                delta = ((x + moved).clamp(0, 1) - x).renorm(p=2, dim=0, maxnorm=eps)
        return delta


def soft_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The sum over images of -log of the mean probability of the label over copies. (m, b, num_classes), (b,) -> ()."""
    mean = scores.softmax(dim=2).mean(dim=0)
    return functional.nll_loss(mean.clamp(min=1e-20).log(), labels, reduction="sum")


def direction(gradient: Tensor, spare: Tensor) -> Tensor:
    """The gradient of each image, or `spare` where it is 0, scaled to length 1. (b, C, H, W) -> (b, C, H, W)."""
    chosen = torch.where(_lengths(gradient) == 0, spare, gradient)
    return chosen / _lengths(chosen)


def _lengths(images: Tensor) -> Tensor:
    return images.flatten(1).norm(dim=1)[:, None, None, None]
