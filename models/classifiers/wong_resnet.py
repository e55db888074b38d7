"""The small residual network of Wong et al. (2018), "Scaling provable adversarial defenses", for CIFAR-10."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.classifiers.normalised import Normalisation
from smoothing import BaseFunctionError

BLOCKS = ((16, 1), (16, 1), (32, 2), (64, 2))  # channels and stride of each
HIDDEN = 1000  # units of the first linear layer
SIDE = 32  # of the images; the linear layer sees 8 x 8 pixels


class WongResNet(nn.Module):
    """A 3x3 convolution, four residual blocks without batch normalisation, two linear layers.

    Cohen et al. compare with this network in figure 7. Each shortcut is a convolution, and each convolution has a bias.
    It has 4,214,850 weights for 10 classes. Wong et al. normalise CIFAR-10 with a mean of (0.485, 0.456, 0.406) and one
    standard deviation of 0.225; here the data set provides these numbers.

    Args:
        num_classes: number of classes; the data set provides it and the next three arguments.
        in_channels: channels of the images.
        mean: of the normalisation, one number for each channel.
        std: of the normalisation, one number for each channel, > 0.

    Shape:
        (n, in_channels, 32, 32), float, nominally in [0, 1] -> (n, num_classes) scores.

    Raises:
        BaseFunctionError: images are not 32 x 32.
    """

    def __init__(self, num_classes: int, in_channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        channels = BLOCKS[0][0]
        layers: list[nn.Module] = [
            Normalisation(mean, std),
            nn.Conv2d(in_channels, channels, kernel_size=3, padding=1),
            nn.ReLU(),
        ]
        for width, stride in BLOCKS:
            layers.append(_Block(channels, width, stride))
            channels = width
        features = channels * (SIDE // 4) ** 2
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (SIDE, SIDE):
            raise BaseFunctionError(f"model: WongResNet takes images of {SIDE} x {SIDE}, got {tuple(images.shape)}")
        return self.layers(images)


class _Block(nn.Module):
    """relu(shortcut(x) + F(x)), where F is a convolution, ReLU and a 3x3 convolution.

    If the block halves x, the windows of F's first convolution and of the shortcut are 4 and 2 pixels wide.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=2 + stride, stride=stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
        )
        self.shortcut = nn.Conv2d(channels, width, kernel_size=stride, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.residual(x))
