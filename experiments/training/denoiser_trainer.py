"""How a denoiser in front of a classifier is trained, the one part after the other (Salman et al. 2020)."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
from smoothing import SettingError


@dataclass(frozen=True, kw_only=True)
class DenoiserTrainer(Trainer):
    """Two phases, a part each; the other part is frozen.

    loss=mse, stability: the classifier on clean images, then the denoiser in front of it under the noise.
    loss=mse_retrain: the denoiser under the noise, then a classifier from scratch on what it makes of noisy images
    (Levine and Feizi 2021, appendix: MSE and retrained classifier).

    Epochs count through both phases. `optimizer` and `lr` are the classifier's; momentum, weight decay and schedule are
    those of both parts, and the schedule begins anew with the second phase.

    Args:
        clean_epochs: of the classifier; the other epochs are the denoiser's, at least one each.
        loss: of the denoiser, see `objective`: mse, stability or mse_retrain.
        denoiser_optimizer: sgd or adam.
        denoiser_lr: learning rate that the denoiser begins with.

    Raises:
        SettingError: a value out of its range; several processes, which the frozen part would hold up; a precision
            that keeps weights in another format than float32; noisy=false or stability > 0, which mean nothing here.
    """

    clean_epochs: int
    loss: str = "mse"
    denoiser_optimizer: str = "adam"
    denoiser_lr: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, fits, expected in (
            ("clean_epochs", 1 <= self.clean_epochs < self.epochs, f"1 to {self.epochs - 1}, of trainer.epochs"),
            ("loss", self.loss in ("mse", "stability", "mse_retrain"), "mse, stability or mse_retrain"),
            ("denoiser_optimizer", self.denoiser_optimizer in ("sgd", "adam"), "sgd or adam"),
            ("denoiser_lr", 0 < self.denoiser_lr < math.inf, "a positive number"),
            ("noisy", self.noisy, "true: a denoiser is trained under noise"),
            ("stability", not self.stability, "0 (the denoiser's own is trainer.loss=stability)"),
            ("devices", self.devices == 1, "1: a denoiser is trained by one process"),
            ("nodes", self.nodes == 1, "1: a denoiser is trained by one process"),
            ("precision", self.precision in ("auto", "32-true", "16-mixed", "bf16-mixed"), "32-true or mixed"),
        ):
            if not fits:
                raise SettingError(f"trainer.{name}: expected {expected}, got {getattr(self, name)}")

    def require(self, model: nn.Module) -> None:
        """Raises SettingError for a model that is no denoiser in front of a classifier."""
        if not all(isinstance(getattr(model, part, None), nn.Module) for part in ("classifier", "denoiser")):
            raise SettingError(
                f"trainer: DenoiserTrainer trains a model with a denoiser and a classifier, such as "
                f"model=denoised_small_cnn; {type(model).__name__} is none"
            )

    def make_optimizers(self, model: nn.Module) -> list[torch.optim.Optimizer]:
        classifier, denoiser = _parts(model)
        return [
            self._optimizer(self.optimizer, self.lr, classifier),
            self._optimizer(self.denoiser_optimizer, self.denoiser_lr, denoiser),
        ]

    @property
    def retrained(self) -> bool:
        """Whether the classifier comes second."""
        return self.loss == "mse_retrain"

    def phase(self, epoch: int) -> int:
        """0 where the classifier is trained, 1 where the denoiser is."""
        if self.retrained:
            return int(epoch < self.epochs - self.clean_epochs)
        return int(epoch >= self.clean_epochs)

    def learning_rate(self, epoch: int) -> float:
        denoiser_epochs = self.epochs - self.clean_epochs
        if self.phase(epoch) == 0:
            return self._scheduled(self.lr, epoch - denoiser_epochs * self.retrained, self.clean_epochs)
        return self._scheduled(self.denoiser_lr, epoch - self.clean_epochs * (not self.retrained), denoiser_epochs)

    def set_mode(self, model: nn.Module, epoch: int) -> None:
        """The part that this phase trains in training mode; the other in evaluation mode, without gradients."""
        for phase, part in enumerate(_parts(model)):
            trained = phase == self.phase(epoch)
            part.train(trained).requires_grad_(trained)

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """As `Trainer.objective`, with the losses of Salman et al. (2020).

        For a classifier f, a denoiser D and a noisy copy x~ of x the loss is

            classifier:               cross entropy(f(x), labels),
            classifier, mse_retrain:  cross entropy(f(D(x~)), labels),
            denoiser, mse and mse_retrain:  the mean of (D(x~) - x)^2 over the batch, channels and pixels,
            denoiser, stability:      cross entropy(f(D(x~)), argmax_c f(x)_c).

        Scores are f(x) where the classifier is trained on clean images and f(D(x~)) elsewhere.
        """
        classifier, denoiser = _parts(model)
        if self.phase(epoch) == 0:
            with torch.no_grad():
                seen = denoiser(noise(x)) if self.retrained else x
            scores = classifier(seen)
            return functional.cross_entropy(scores, labels), scores
        denoised = denoiser(noise(x))
        if self.loss != "stability":
            with torch.no_grad():
                scores = classifier(denoised)
            return functional.mse_loss(denoised, x), scores
        with torch.no_grad():
            wanted = classifier(x).argmax(dim=1)
        scores = classifier(denoised)
        return functional.cross_entropy(scores, wanted), scores


def _parts(model: Any) -> tuple[nn.Module, nn.Module]:
    """Classifier and denoiser, as `DenoiserTrainer.phase` numbers them."""
    return model.classifier, model.denoiser
