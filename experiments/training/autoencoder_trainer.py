"""Train a function from images, or from measurements of images, to images (Kumar and Goldstein 2021, section 5.3)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
from smoothing import SettingError


@dataclass(frozen=True)
class AutoencoderTrainer(Trainer):
    """Minimise the mean squared error between the output and the clean image. Labels are ignored.

    The noise is added to the model's input: the image, or its measurements if the model has `measure`.

    The arguments are those of `Trainer`.

    Raises:
        SettingError: a value is out of its range, or stability > 0, which this trainer does not support.
    """

    judged_by: ClassVar[str] = "loss"
    replayable: ClassVar[bool] = True
    uses_stability: ClassVar[bool] = False

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
        self._require_tensor(outputs)
        if outputs.shape != images.shape:
            raise SettingError(
                f"trainer: AutoencoderTrainer expected outputs of the images' shape, {tuple(images.shape[1:])}, got "
                f"{tuple(outputs.shape[1:])}; use model=autoencoder or another trainer, such as "
                "trainer=digits"
            )
        return functional.mse_loss(outputs, images), outputs

    def judge(self, outputs: Tensor, images: Tensor) -> Tensor:
        """Each image's mean squared error, (b,), float64."""
        return (outputs.double() - images).square().flatten(1).mean(dim=1)
