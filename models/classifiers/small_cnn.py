"""A small convolutional network for gray digits: the embedded ones (8 x 8) and MNIST (28 x 28)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.classifiers.normalised import Normalisation
from smoothing import SettingError

POOLED = 4  # side of the feature map that the last layer sees, whatever the size of the image


class SmallCNN(nn.Module):
    """Two convolutions and a linear layer; no batch normalisation, so its training loss is the same on any number of
    processes. About 100,000 images of 8 x 8 a second on a CPU core: cheap enough for n = 100,000 samples an image.

    Args:
        num_classes: of the data set; given by the run, as are the next three.
        in_channels: of its images.
        mean: of the normalisation.
        std: of the normalisation.
        width: channels of the first convolution; the second has twice as many.

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes) scores. H, W >= 2.

    Raises:
        SettingError: no such width.
    """

    def __init__(
        self, num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float], width: int = 16
    ) -> None:
        super().__init__()
        if width < 1:
            raise SettingError(f"model.width: expected at least 1, got {width}")
        self.layers = nn.Sequential(
            Normalisation(mean, std),
            nn.Conv2d(in_channels, width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(POOLED),
            nn.Flatten(),
            nn.Linear(2 * width * POOLED**2, num_classes),
        )
        self.to(memory_format=torch.channels_last)  # three times as fast on a CPU

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
