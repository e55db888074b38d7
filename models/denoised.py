"""A denoiser in front of a classifier (Salman et al. 2020): a base classifier for noisy images."""

from collections.abc import Sequence
from typing import Any, ClassVar

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

    Files that the classifier's arguments name are part of a run's identity.

    Attributes:
        denoiser: (n, in_channels, H, W) -> the same.
        classifier: (n, in_channels, H, W) -> (n, num_classes).

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: there is no such classifier, it does not accept these arguments, or a value is out of its range.
    """

    identified_by_files: ClassVar[bool] = True

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
        self.keeps_classifier = not getattr(self.classifier, "pretrained", False)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.denoiser(images))
        return scores

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """As that of `nn.Module`. A classifier that brings its weights is left out."""
        found = super().state_dict(*arguments, **options)
        if not self.keeps_classifier:
            prefix = f"{options.get('prefix', '')}classifier."
            for name in [name for name in found if name.startswith(prefix)]:
                del found[name]
        return found

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        if not self.keeps_classifier:
            own = self.classifier.state_dict()
            state_dict |= {f"{prefix}classifier.{name}": value for name, value in own.items()}
        super()._load_from_state_dict(state_dict, prefix, *others)
