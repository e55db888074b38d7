"""Train a denoiser in front of a classifier, one after the other (Salman et al. 2020)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
from smoothing import SettingError
from smoothing.outputs import not_tensor


@dataclass(frozen=True, kw_only=True)
class DenoiserTrainer(Trainer):
    """Train classifier and denoiser in two phases. Each phase trains one part and freezes the other.

    loss=mse or stability: first the classifier on clean images, then the denoiser in front of it under noise.
    loss=mse_retrain: first the denoiser under noise, then a classifier from scratch on denoised images (Levine and
    Feizi 2021, appendix: MSE and retrained classifier).

    A classifier that brings its weights is kept as it is (clean_epochs=0), and the denoiser is trained in front of it.
    This is denoised smoothing of a pretrained classifier.

    Epochs are counted across both phases. `optimizer` and `lr` apply to the classifier. Momentum, weight decay and
    schedule apply to both parts, and the schedule restarts in the second phase.

    Args:
        clean_epochs: epochs of the classifier, at least 1, or 0 if it brings its weights; the rest of `epochs`, at
            least 1, trains the denoiser.
        loss: loss of the denoiser, see `objective`: mse, stability or mse_retrain.
        mse_epochs: with loss=stability, the number of the denoiser's first epochs that minimise mse instead (Stab+MSE
            in the paper).
        denoiser_optimizer: sgd or adam.
        denoiser_lr: initial learning rate of the denoiser.

    Raises:
        SettingError: a value is out of its range; several processes, which cannot train with a frozen part; a precision
            that does not keep weights in float32; noisy=false or stability > 0, which this trainer does not support.
    """

    replayable: ClassVar[bool] = True

    clean_epochs: int
    loss: str = "mse"
    mse_epochs: int = 0
    denoiser_optimizer: str = "adam"
    denoiser_lr: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        epochs = self.epochs - self.clean_epochs
        stability = self.loss == "stability"
        self.require_that(
            ("clean_epochs", 0 <= self.clean_epochs < self.epochs, f"0 to {self.epochs - 1} (trainer.epochs - 1)"),
            ("clean_epochs", self.clean_epochs or not self.retrained, "at least 1 with trainer.loss=mse_retrain"),
            ("mse_epochs", 0 <= self.mse_epochs < epochs, f"0 to {epochs - 1}, fewer than those of the denoiser"),
            ("mse_epochs", stability or not self.mse_epochs, f"0 with trainer.loss={self.loss}"),
            ("loss", self.loss in ("mse", "stability", "mse_retrain"), "mse, stability or mse_retrain"),
            ("denoiser_optimizer", self.denoiser_optimizer in ("sgd", "adam"), "sgd or adam"),
            ("denoiser_lr", 0 < self.denoiser_lr < math.inf, "a positive number"),
            ("noisy", self.noisy, "true, because a denoiser is trained under noise"),
            ("stability", not self.stability, "0 (for a denoiser, set trainer.loss=stability)"),
            ("devices", self.devices == 1, "1, because a denoiser is trained by one process"),
            ("nodes", self.nodes == 1, "1, because a denoiser is trained by one process"),
            ("precision", self.precision in ("auto", "32-true", "16-mixed", "bf16-mixed"), "32-true or mixed"),
        )

    def require(self, model: nn.Module) -> None:
        """Raises SettingError if the model is not a denoiser and a classifier, or `clean_epochs` does not fit."""
        if not all(isinstance(getattr(model, part, None), nn.Module) for part in ("classifier", "denoiser")):
            raise SettingError(
                f"trainer: DenoiserTrainer expected a model with a denoiser and a classifier, such as "
                f"model=denoised_small_cnn, got {type(model).__name__}"
            )
        classifier = model.classifier
        if bool(getattr(classifier, "pretrained", False)) == bool(self.clean_epochs):
            wanted, state = ("0", "brings its weights") if self.clean_epochs else ("at least 1", "must be trained")
            raise SettingError(
                f"trainer.clean_epochs: expected {wanted}, because {type(classifier).__name__} {state}, got "
                f"{self.clean_epochs}"
            )

    def make_optimizers(self, model: nn.Module) -> list[torch.optim.Optimizer]:
        classifier, denoiser = _parts(model)
        return [
            self._optimizer(self.optimizer, self.lr, classifier),
            self._optimizer(self.denoiser_optimizer, self.denoiser_lr, denoiser),
        ]

    @property
    def retrained(self) -> bool:
        """Whether the classifier is trained second."""
        return self.loss == "mse_retrain"

    def phase(self, epoch: int) -> int:
        """0 if the classifier is trained in this epoch, 1 if the denoiser is."""
        if self.retrained:
            return int(epoch < self.epochs - self.clean_epochs)
        return int(epoch >= self.clean_epochs)

    def learning_rate(self, epoch: int) -> float:
        denoiser_epochs = self.epochs - self.clean_epochs
        if self.phase(epoch) == 0:
            return self._scheduled(self.lr, epoch - denoiser_epochs * self.retrained, self.clean_epochs)
        return self._scheduled(self.denoiser_lr, epoch - self.clean_epochs * (not self.retrained), denoiser_epochs)

    def set_mode(self, model: nn.Module, epoch: int) -> None:
        """Put the part that is trained into training mode, and freeze the other in evaluation mode."""
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

        The scores are f(x) while the classifier is trained on clean images, and f(D(x~)) otherwise. In front of a
        classifier that brings its weights, they are followed by f(x): (b, 2, num_classes).

        Raises:
            SettingError: the denoiser's outputs are not images like x, or the classifier's are not scores.
        """
        if self.phase(epoch) == 0:
            with torch.no_grad():
                seen = self._denoised(model, noise(x)) if self.retrained else x
            scores = self._scores(model, seen)
            return functional.cross_entropy(scores, labels), scores
        denoised = self._denoised(model, noise(x))
        with torch.no_grad():
            clean = self._scores(model, x)
        by_mse = self.loss != "stability" or epoch < self.clean_epochs + self.mse_epochs
        with torch.set_grad_enabled(not by_mse):
            scores = self._scores(model, denoised)
        outputs = scores if self.clean_epochs else torch.stack([scores, clean], dim=1)
        if by_mse:
            return functional.mse_loss(denoised, x), outputs
        return functional.cross_entropy(scores, clean.argmax(dim=1)), outputs

    def _denoised(self, model: nn.Module, noisy: Tensor) -> Tensor:
        """The denoiser's images, of the shape of the noisy ones. Another shape would be broadcast by the loss."""
        found: Any = _parts(model)[1](noisy)
        if not isinstance(found, Tensor) or found.shape != noisy.shape:
            got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else not_tensor(found)
            raise SettingError(
                f"trainer: {type(self).__name__} expected images of shape {tuple(noisy.shape)} from the denoiser, "
                f"got {got}"
            )
        return found

    def _scores(self, model: nn.Module, images: Tensor) -> Tensor:
        found: Any = _parts(model)[0](images)
        self._require_scores(found)
        scores: Tensor = found
        return scores

    def judge(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """As `Trainer.judge`. In front of a classifier that brings its weights, the class of the clean image is right.

        A data set for such a denoiser needs no labels in training.
        """
        if outputs.dim() == 3:
            denoised, clean = outputs.argmax(dim=2).unbind(dim=1)
            return (denoised == clean).double()
        return super().judge(outputs, labels)


def _parts(model: Any) -> tuple[nn.Module, nn.Module]:
    """Classifier and denoiser, in the order of `DenoiserTrainer.phase`."""
    return model.classifier, model.denoiser
