"""MACER (Zhai et al. 2020): maximise the certified radius of a soft smoothed classifier."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer

LEAST = 1e-10  # added to a probability before its logarithm, as in the authors' code


@dataclass(frozen=True)
class MacerTrainer(Trainer):
    """Cross entropy of the soft smoothed classifier, and a hinge on its radius where it is right.

    Args: those of `Trainer`, and
        copies: k, noisy copies of each image, at least 1.
        weight: lambda, of the radius, >= 0.
        margin: gamma: radii of at least sigma gamma / 2 are large enough, > 0.
        temperature: beta: scores are multiplied by it in the radius, > 0.
        deferred: number of first epochs without the radius, >= 0.

    Raises:
        SettingError: a value is out of its range.
    """

    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    copies: int = 16
    weight: float = 16.0
    margin: float = 8.0
    temperature: float = 16.0
    deferred: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "copies")
        self.require_at_least(0, "weight", "deferred")
        self.require_positive("margin", "temperature")

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The paper's loss (algorithm 1).

        It is the mean over images of

            -log z_label + lambda sigma / 2 (gamma - xi) where z' is right and 0 < xi <= gamma,

        where z is the mean of the k copies' probabilities, z' the same with scores multiplied by beta, and
        xi = Phi^-1(z'_A) - Phi^-1(z'_B) for the two largest entries of z'.
        """
        scores = self.scores_of_copies(model, x, noise, self.copies)
        loss = functional.nll_loss((scores.softmax(dim=2).mean(dim=0) + LEAST).log(), labels)
        if self.weight and epoch >= self.deferred:
            loss = loss + self.weight * self._hinge(scores, labels, noise.sigma)
        return loss, scores[0]

    def _hinge(self, scores: Tensor, labels: Tensor, sigma: float) -> Tensor:
        """The mean hinge on the radii, (). Scores: (k, b, num_classes)."""
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # bfloat16 is too coarse for Phi^-1
        top, classes = (self.temperature * scores).softmax(dim=2).mean(dim=0).topk(2, dim=1)
        with torch.no_grad():
            xi = torch.special.ndtri(top[:, 0]) - torch.special.ndtri(top[:, 1])
            pushed = (classes[:, 0] == labels) & xi.isfinite() & (xi.abs() <= self.margin)
        # Before Phi^-1, whose gradient at 0 and 1 is infinite. No index, which would make the host wait for the GPU.
        top = torch.where(pushed[:, None], top, 0.5)
        xi = torch.special.ndtri(top[:, 0]) - torch.special.ndtri(top[:, 1])
        return ((self.margin - xi) * pushed).sum() * sigma / 2 / len(labels)
