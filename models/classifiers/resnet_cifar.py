"""Residual networks for 32 x 32 images (He et al. 2016, section 4.2): ResNet-20, ..., ResNet-110."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifiers.normalised import Normalisation
from smoothing import SettingError

WIDTHS = (16, 32, 64)


class _Padded(nn.Module):
    """Take every second pixel of every second row, and add channels of zeros on both sides (option A)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.more = width - channels

    def forward(self, x: Tensor) -> Tensor:
        half = self.more // 2
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))


class _Projected(nn.Sequential):
    """A 1x1 convolution of stride 2, batch normalised (option B)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(nn.Conv2d(channels, width, kernel_size=1, stride=2, bias=False), nn.BatchNorm2d(width))


class _Block(nn.Module):
    """relu(shortcut(x) + F(x)); the shortcut is x itself if F keeps the image's size."""

    def __init__(self, channels: int, width: int, shortcut: type[nn.Module]) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(channels, width, stride=1 if channels == width else 2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _convolution(width, width),
            nn.BatchNorm2d(width),
        )
        self.shortcut = nn.Identity() if channels == width else shortcut(channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.shortcut(x) + self.residual(x))


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)


class ResNetCIFAR(nn.Module):
    """A 3x3 convolution, three stages of residual blocks at widths 16, 32 and 64, mean over the image, linear layer.

    He et al.'s form: if a block halves the image, its shortcut has no weights (their option A).

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.
        depth: number of layers with weights, 6 k + 2, for k blocks of two convolutions in each stage: 20, 32, 44, 56 or
            110.

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: depth is not 6 k + 2.
    """

    shortcut: ClassVar[type[nn.Module]] = _Padded  # in a block that halves the image
    # Initial weights of a convolution have variance 2 / fan.
    initialised_by: ClassVar[Literal["fan_in", "fan_out"]] = "fan_in"

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
                layers.append(_Block(channels, width, self.shortcut))
                channels = width
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode=self.initialised_by, nonlinearity="relu")
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images).mean(dim=(2, 3)))


class ProjectedResNet(ResNetCIFAR):
    """The form of Yang Wei's pytorch-classification (bearpaw on GitHub), which Cohen et al. use for CIFAR-10.

    As `ResNetCIFAR`, but a shortcut that halves the image is a 1x1 convolution with batch normalisation. It has
    1,730,714 weights at depth 110 and 272,474 at depth 20, for 10 classes.
    """

    shortcut = _Projected
    initialised_by = "fan_out"
