"""A classifier of images of which most pixels are hidden (Levine and Feizi 2020, arXiv 1911.09272)."""

from typing import Any

import torch
from torch import Tensor, nn

from models.classifiers.inner import inner_classifier


class Ablated(nn.Module):
    """classifier(x, 1 - x), where both are 0 in hidden pixels, as in section 4.1 of the paper.

    So black, white and hidden are (0, 1), (1, 0) and (0, 0). The classifier has twice as many channels and no
    normalisation.

    Args:
        num_classes: number of classes; the data set provides it and the next argument.
        in_channels: channels of the images.
        classifier: the classifier's class, as `_target_`, and its own arguments.

    Shape:
        (n, in_channels, H, W), float, in [0, 1] or NaN where hidden -> (n, num_classes) scores.

    Raises:
        SettingError: there is no such classifier, or it does not accept these arguments.
    """

    def __init__(self, num_classes: int, in_channels: int, classifier: dict[str, Any]) -> None:
        super().__init__()
        channels = 2 * in_channels
        zero, one = [0.0] * channels, [1.0] * channels
        self.classifier = inner_classifier("model.classifier", classifier, num_classes, channels, zero, one)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(torch.cat([images, 1 - images], dim=1).nan_to_num(nan=0.0))
        return scores
