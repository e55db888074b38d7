"""The network for MNIST of Levine and Feizi (2020, AAAI, arXiv 1911.09272), as in their code."""

from collections.abc import Sequence

from torch import Tensor, nn

from models.classifiers.normalised import Normalisation


class LevineCNN(nn.Module):
    """Two 4 x 4 convolutions with stride 2 (64 and 128 channels), and three linear layers (500 and 100 hidden units).

    3.3 million weights for two channels and ten classes. The authors feed x and 1 - x to it, as `models.Ablated` does.

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.

    Shape:
        (n, in_channels, 28, 28), float -> (n, num_classes) scores.
    """

    def __init__(self, num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Normalisation(mean, std),
            nn.Conv2d(in_channels, 64, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128 * 7 * 7, 500),
            nn.ReLU(),
            nn.Linear(500, 100),
            nn.ReLU(),
            nn.Linear(100, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images)
        return scores
