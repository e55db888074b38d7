"""LeNet for MNIST, in the form of Jeong and Shin (2020) and Jeong et al. (2021), whose results on MNIST it has."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.classifiers.normalised import Normalisation


class LeNet(nn.Module):
    """Two 5 x 5 convolutions (20 and 50 channels), each with max pooling, and two linear layers (500 hidden units).

    431,080 weights for one channel and ten classes. The authors feed images in [0, 1] to it. So the data set's mean and
    standard deviation are only used with `normalise`.

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.
        normalise: whether to normalise images.

    Shape:
        (n, in_channels, 28, 28), float, nominally in [0, 1] -> (n, num_classes) scores.
    """

    def __init__(
        self, num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float], normalise: bool = False
    ) -> None:
        super().__init__()
        first = [Normalisation(mean, std)] if normalise else []
        self.layers = nn.Sequential(
            *first,
            nn.Conv2d(in_channels, 20, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(50 * 4 * 4, 500),
            nn.ReLU(),
            nn.Linear(500, num_classes),
        )
        self.to(memory_format=torch.channels_last)  # three times as fast on a CPU

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
