"""How a function from images, or measurements of them, to images is trained (Kumar and Goldstein 2021, section 5.3)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from experiments.training.trainer import NoisyCopy, Purpose, Trainer
from smoothing import SettingError


@dataclass(frozen=True)
class AutoencoderTrainer(Trainer):
    """Mean squared error of the output against the clean image; labels are not looked at.

    The noise is added to what the model takes: the image, or its measurements where the model has `measure`.

    Args: those of `Trainer`.

    Raises:
        SettingError: a value out of its range; stability > 0, which means nothing here.
    """

    judged_by: ClassVar[str] = "loss"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stability:
            raise SettingError(f"trainer.stability: expected 0, of an autoencoder, got {self.stability}")

    def objective(
        self, model: nn.Module, x: Tensor, labels: Tensor, noisy: NoisyCopy, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """As `Trainer.objective`; the loss is the mean of (f(noisy copy) - x)^2 over the batch, channels and pixels.

        Returns:
            The loss, and the outputs (b, C, H, W).

        Raises:
            SettingError: the model's outputs are not of the images' shape.
        """
        outputs = model(noisy(Purpose.NOISE))
        if outputs.shape != x.shape:
            raise SettingError(
                f"trainer: AutoencoderTrainer trains models that give images back, {tuple(x.shape[1:])} here; this one "
                f"gives {tuple(outputs.shape[1:])}. Take model=autoencoder or another trainer, such as trainer=digits"
            )
        return functional.mse_loss(outputs, x), outputs

    def judge(self, outputs: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Each image's mean squared error."""
        return (outputs.double() - x).square().flatten(1).mean(dim=1)
