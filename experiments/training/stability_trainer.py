"""Stability training (Li et al. 2019, "Certified Adversarial Robustness with Additive Noise")."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer


@dataclass(frozen=True)
class StabilityTrainer(Trainer):
    """Cross entropy on clean images, and cross entropy between the predictions on clean and on noisy images.

    `Trainer` with stability > 0 is the later form of Yang et al. (2020), which compares two noisy copies.

    Args: those of `Trainer`, and
        weight: lambda, of the second term, >= 0.

    Raises:
        SettingError: a value is out of its range.
    """

    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    weight: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(0, "weight")

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """CE(p, label) + lambda sum_c -p_c log q_c, with the probabilities p on the image and q on a noisy copy.

        Gradients flow through both (the form that the authors of consistency regularization compare with).
        """
        clean, noisy = model(x), self.scores_of_copies(model, x, noise, 1)[0]
        stability = -(clean.softmax(dim=1) * functional.log_softmax(noisy, dim=1)).sum(dim=1).mean()
        return functional.cross_entropy(clean, labels) + self.weight * stability, noisy
