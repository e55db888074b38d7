"""How a function from images, or measurements of them, to images is trained (Kumar and Goldstein 2021, section 5.3)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
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

    def targets(self, images: Tensor, labels: Tensor) -> Tensor:
        """The clean images, (b, C, H, W)."""
        return images

    def objective(
        self, model: nn.Module, x: Tensor, images: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """As `Trainer.objective`: the mean of (f(x + noise) - images)^2 over the batch, channels and pixels.

        Returns:
            The loss, (), and the outputs f(x + noise), (b, C, H, W).

        Raises:
            SettingError: the model's outputs are not of the images' shape.
        """
        outputs = model(noise(x))
        if outputs.shape != images.shape:
            raise SettingError(
                f"trainer: AutoencoderTrainer trains models that give images back, {tuple(images.shape[1:])} here; "
                f"this one gives {tuple(outputs.shape[1:])}. Take model=autoencoder or another trainer, such as "
                "trainer=digits"
            )
        return functional.mse_loss(outputs, images), outputs

    def judge(self, outputs: Tensor, images: Tensor) -> Tensor:
        """Each image's mean squared error, (b,), float64."""
        return (outputs.double() - images).square().flatten(1).mean(dim=1)
