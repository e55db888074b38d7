"""Train a function to numbers."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
from smoothing import SettingError


@dataclass(frozen=True)
class RegressionTrainer(Trainer):
    """Minimise the mean squared error between the outputs under noise and the targets of a `TargetDataset`.

    The arguments are those of `Trainer`.

    Raises:
        SettingError: a value is out of its range, or stability > 0, which this trainer does not support.
    """

    judged_by: ClassVar[str] = "absolute_error"
    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def objective(
        self, model: nn.Module, x: Tensor, targets: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """As `Trainer.objective`: the mean of (f(x + noise) - targets)^2, in the squared units of the targets.

        Returns:
            The loss, (), and the outputs f(x + noise), of the targets' shape.

        Raises:
            SettingError: the model's outputs are not of the targets' shape.
        """
        outputs = model(noise(x))
        self._require_tensor(outputs)
        if outputs.shape != targets.shape:
            raise SettingError(
                f"trainer: RegressionTrainer expected outputs of the targets' shape, {tuple(targets.shape[1:])}, got "
                f"{tuple(outputs.shape[1:])}; use model=regressor or another trainer"
            )
        return functional.mse_loss(outputs, targets), outputs

    def judge(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean absolute error of each input's outputs, in the units of the targets: (b,), float64."""
        return (outputs.double() - targets).abs().flatten(1).mean(dim=1)
