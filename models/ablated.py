"""Models of images of which most pixels are hidden (Levine and Feizi 2020, arXiv 1911.09272 and 2002.10733)."""

from typing import Any

import torch
from torch import Tensor, nn

from models.autoencoder import Autoencoder
from models.classifiers.inner import inner_classifier
from models.encoder_decoder import encoder


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
        scores: Tensor = self.classifier(seen(images))
        return scores


class AblatedAutoencoder(Autoencoder):
    """An `Autoencoder` whose encoder receives x and 1 - x, as that of `Ablated`. Its outputs are whole images.

    Args:
        shape: (C, H, W) of the images; see `Autoencoder`.
        bottleneck: length of the code; see `Autoencoder`.

    Shape:
        (b, C, H, W), float, in [0, 1] or NaN where hidden -> (b, C, H, W) in [0, 1].
    """

    def __init__(self, shape: tuple[int, int, int], bottleneck: int = 256) -> None:
        super().__init__(shape, bottleneck)
        self.encode[0] = encoder(2 * shape[0]).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(seen(images))


def seen(images: Tensor) -> Tensor:
    """The inputs x and 1 - x, both 0 in hidden pixels: (n, C, H, W), NaN where hidden -> (n, 2 C, H, W).

    Examples:
        >>> seen(torch.tensor([0.25, torch.nan]).view(1, 1, 1, 2)).tolist()
        [[[[0.25, 0.0]], [[0.75, 0.0]]]]
    """
    return torch.cat([images, 1 - images], dim=1).nan_to_num(nan=0.0)
