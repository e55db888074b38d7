"""Residual networks for 32 x 32 images (He et al. 2016, section 4.2): ResNet-20, ..., ResNet-110."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifiers.normalised import Normalisation
from smoothing import SettingError

WIDTHS = (16, 32, 64)


class ResNetCIFAR(nn.Module):
    """A 3x3 convolution, three stages of residual blocks at widths 16, 32 and 64, mean over the image, linear layer.

    Args:
        num_classes: of the data set; given by the run, as are the next three.
        in_channels: of its images.
        mean: of the normalisation.
        std: of the normalisation.
        depth: number of layers with weights, 6 k + 2: k blocks of two convolutions a stage. 20, 32, 44, 56 or 110.

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: no such depth.
    """

    def __init__(
        self, num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float], depth: int = 110
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise SettingError(f"model.depth: expected 6 k + 2 (8, 14, 20, ..., 110), got {depth}")
        layers: list[nn.Module] = [
            Normalisation(mean, std),
            _convolution(in_channels, WIDTHS[0]),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
        ]
        channels = WIDTHS[0]
        for width in WIDTHS:
            for _ in range(blocks):
                layers.append(_Block(channels, width))
                channels = width
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images).mean(dim=(2, 3)))


class _Block(nn.Module):
    """relu(x + F(x)); where F halves the image, x is subsampled and padded with zeros (option A: no weights)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.stride, self.more = (1, 0) if channels == width else (2, width - channels)
        self.residual = nn.Sequential(
            _convolution(channels, width, self.stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _convolution(width, width),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.more:
            half = self.more // 2
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.more - half))
        return functional.relu(shortcut + self.residual(x))


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
