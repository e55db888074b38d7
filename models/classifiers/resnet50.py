"""Torchvision's ResNet-50, the base classifier of Cohen et al. on ImageNet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.classifiers.normalised import Normalisation
from smoothing import SettingError


class ResNet50(nn.Module):
    """ResNet-50 (He et al. 2016) for images of about 224 x 224, without pre-trained weights.

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images; must be 3.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.

    Shape:
        (n, 3, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: in_channels is not 3.
    """

    def __init__(self, num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        from torchvision.models import resnet50  # here, because it takes two seconds to import

        super().__init__()
        if in_channels != 3:
            raise SettingError(f"model: ResNet50 takes colour images, not images of {in_channels} channel(s)")
        self.normalise = Normalisation(mean, std)
        self.network = resnet50(weights=None, num_classes=num_classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalise(images))
