"""Train a network that segments images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
from smoothing import SettingError


@dataclass(frozen=True)
class SegmentTrainer(Trainer):
    """Minimise the mean cross entropy of the positions' classes under noise; the targets are label maps.

    The arguments are those of `Trainer`.

    Raises:
        SettingError: a value is out of its range; or stability > 0, crop_padding > 0 or flip, which this trainer does
            not support: label maps are not cropped or flipped with their images.
    """

    uses_stability: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_padding or self.flip:
            raise SettingError("trainer.crop_padding, trainer.flip: expected 0 and false with SegmentTrainer")

    def objective(
        self, model: nn.Module, x: Tensor, targets: Tensor, noise: StepNoise, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """As `Trainer.objective`: the mean cross entropy over the batch and the positions.

        Returns:
            The loss, (), and the scores, (b, classes, *positions).

        Raises:
            SettingError: the outputs are not scores of the targets' positions.
        """
        scores = model(noise(x))
        self._require_tensor(scores)
        if scores.dim() < 3 or scores.shape[1] < 2 or scores.shape[2:] != targets.shape[1:]:
            raise SettingError(
                f"trainer: SegmentTrainer expected scores (classes, *positions) for label maps of shape "
                f"{tuple(targets.shape[1:])}, got {tuple(scores.shape[1:])}; use model=segmenter"
            )
        return functional.cross_entropy(scores, targets), scores

    def judge(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The share of positions whose class is right, (b,), float64.

        Args:
            outputs: scores (b, classes, *positions), or classes (b, 1, *positions).
            targets: label maps, (b, *positions).
        """
        classes = outputs.argmax(dim=1) if outputs.shape[1] > 1 else outputs[:, 0]
        right: Tensor = (classes == targets).to(torch.float64)
        return right.flatten(1).mean(dim=1)
