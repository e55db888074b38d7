"""DnCNN, a convolutional denoiser (Zhang et al. 2017)."""

import torch
from torch import Tensor, nn

from smoothing import SettingError


class DnCNN(nn.Module):
    """x - R(x): an image minus the noise that a network predicts in it (Zhang et al. 2017, section III).

    R is `depth` 3x3 convolutions of `width` channels, with ReLUs between them. All but the first and the last
    convolution have batch normalisation.

    Args:
        in_channels: channels of the images.
        depth: number of convolutions, at least 2; 17 in the paper and in Salman et al. (2020).
        width: channels between convolutions, at least 1; 64 in both papers.

    Shape:
        (n, in_channels, H, W), float -> the same. Nothing is clipped.

    Raises:
        SettingError: a value is out of its range.
    """

    def __init__(self, in_channels: int, depth: int = 17, width: int = 64) -> None:
        super().__init__()
        if depth < 2 or width < 1:
            raise SettingError(f"model: expected a denoiser of depth >= 2 and width >= 1, got {depth} and {width}")
        layers: list[nn.Module] = [_convolution(in_channels, width, bias=True), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [_convolution(width, width, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.noise = nn.Sequential(*layers, _convolution(width, in_channels, bias=True))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return images - self.noise(images)


def _convolution(channels: int, width: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=bias)
