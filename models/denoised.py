"""A denoiser in front of a classifier (Salman et al. 2020): a base classifier for noisy images."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from models.classifiers.inner import inner_classifier
from models.dncnn import DnCNN


class Denoised(nn.Module):
    """classifier(denoiser(images)), with a DnCNN as the denoiser.

    The denoiser sees pixels. The classifier's own normalisation comes after it. The model is trained in two phases by
    `experiments.training.denoiser_trainer.DenoiserTrainer`. A classifier that brings its weights (`pretrained`) is not
    trained. Then `state_dict`, and so a checkpoint, holds the denoiser alone.

    Args:
        num_classes: number of classes, passed to the classifier; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.
        classifier: the classifier's class, as `_target_`, and its own arguments.
        depth: number of convolutions of the denoiser, at least 2.
        width: channels of the denoiser, at least 1.

    Attributes:
        denoiser: (n, in_channels, H, W) -> the same.
        classifier: (n, in_channels, H, W) -> (n, num_classes).

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: there is no such classifier, it does not accept these arguments, or a value is out of its range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        classifier: dict[str, Any],
        depth: int = 17,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.classifier = inner_classifier("model.classifier", classifier, num_classes, in_channels, mean, std)
        self.denoiser = DnCNN(in_channels, depth, width)
        if getattr(self.classifier, "pretrained", False):
            self.register_state_dict_post_hook(_leave_out_classifier)
            self.register_load_state_dict_pre_hook(_put_in_classifier)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.denoiser(images))
        return scores


def _leave_out_classifier(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}classifier.")]:
        del state[name]


def _put_in_classifier(model: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    state.update({f"{prefix}classifier.{name}": value for name, value in model.classifier.state_dict().items()})
