"""A small convolutional network from an image to the class of each pixel."""

import torch
from torch import Tensor, nn

DILATIONS = (1, 1, 2, 4, 1)  # the class of a pixel depends on the 19 x 19 pixels around it


class Segmenter(nn.Module):
    """Convolutions of one width: (b, channels, H, W) -> the most probable class of each pixel, (b, 1, H, W), float32.

    The class is NaN where a score is not finite. In training mode the output is the scores, (b, num_classes, H, W).

    Args:
        num_classes: number of classes.
        in_channels: channels of the image.
        width: channels of each hidden layer.

    Examples:
        >>> model = Segmenter(num_classes=11, in_channels=1)
        >>> model(torch.zeros(3, 1, 16, 16)).shape, model.eval()(torch.zeros(3, 1, 16, 16)).shape
        (torch.Size([3, 11, 16, 16]), torch.Size([3, 1, 16, 16]))
    """

    def __init__(self, num_classes: int, in_channels: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k, dilation in enumerate(DILATIONS):
            layers += [nn.Conv2d(width if k else in_channels, width, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, num_classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images)
        if self.training:
            return scores
        largest, classes = scores.max(dim=1, keepdim=True)
        return torch.where(largest.isfinite(), classes.to(scores.dtype), torch.nan)
