"""Wide residual networks for 32 x 32 images (Zagoruyko and Komodakis 2016): such as WideResNet-40-2."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.classifiers.normalised import Normalisation
from smoothing import SettingError

WIDTHS = (16, 32, 64)


class WideResNet(nn.Module):
    """A 3x3 convolution, three stages of pre-activation blocks `width` times as wide as a ResNet's, mean, linear layer.

    It has no dropout. Yang et al. (2020) and Levine and Feizi (2021) use it for l1 certificates on CIFAR-10.

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.
        depth: 6 k + 4, for k blocks of two convolutions in each stage.
        width: factor k of the paper's WRN-n-k, at least 1.

    Shape:
        (n, in_channels, H, W), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        SettingError: depth is not 6 k + 4, or width is below 1.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        depth: int = 40,
        width: int = 2,
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if blocks < 1 or rest:
            raise SettingError(f"model.depth: expected 6 k + 4 (10, 16, 22, 28, 40), got {depth}")
        if width < 1:
            raise SettingError(f"model.width: expected at least 1, got {width}")
        layers: list[nn.Module] = [Normalisation(mean, std), _convolution(in_channels, WIDTHS[0])]
        channels = WIDTHS[0]
        for stage, base in enumerate(WIDTHS):
            for block in range(blocks):
                layers.append(_Block(channels, base * width, stride=2 if stage and not block else 1))
                channels = base * width
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.classify = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.classify.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images).mean(dim=(2, 3)))


class _Block(nn.Module):
    """shortcut + F(x), where F is batch norm, ReLU and convolution, twice.

    The shortcut is x, or a projection of relu(bn(x)) if the width changes.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.residual = nn.Sequential(
            _convolution(channels, width, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _convolution(width, width),
        )
        self.project = None
        if channels != width:
            self.project = nn.Conv2d(channels, width, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activate(x)
        return (self.project(active) if self.project else x) + self.residual(active)


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
