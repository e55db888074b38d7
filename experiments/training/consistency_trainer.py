"""Consistency regularization (Jeong and Shin 2020, "Consistency Regularization for Certified Robustness")."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer


@dataclass(frozen=True)
class ConsistencyTrainer(Trainer):
    """Cross entropy on m noisy copies of each image, and a term that makes their predictions agree.

    The noise may be any of the suite's: the loss takes no gradient with respect to images.

    Args: those of `Trainer`, and
        copies: m, noisy copies of each image, at least 2.
        weight: lambda, of the divergence, >= 0.
        entropy: eta, of the entropy, >= 0.

    Raises:
        SettingError: a value is out of its range.
    """

    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    copies: int = 2
    weight: float = 10.0
    entropy: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(2, "copies")
        self.require_at_least(0, "weight", "entropy")

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The paper's loss, with a weight of its own for the entropy, as in the authors' code.

        It is the mean over images of

            1/m sum_k CE(p_k, label) + lambda 1/m sum_k KL(p || p_k) + eta H(p),    p = 1/m sum_k p_k,

        where p_1, ..., p_m are the classifier's probabilities on the copies, and H(p) = -sum_c p_c log p_c.
        """
        scores = self.scores_of_copies(model, x, noise, self.copies)
        log_p = functional.log_softmax(scores, dim=2)
        log_mean = log_p.logsumexp(dim=0) - math.log(self.copies)
        mean = log_mean.exp()
        divergence = (mean * (log_mean - log_p)).sum(dim=2).mean()
        entropy = -(mean * log_mean).sum(dim=1).mean()
        loss = functional.cross_entropy(scores.flatten(0, 1), labels.repeat(self.copies))
        return loss + self.weight * divergence + self.entropy * entropy, scores[0]
