"""What the certification run needs of a data set."""

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from smoothing import SmoothingError


class MissingDataError(SmoothingError):
    """Data that is not where it was looked for; the message says where to put it, and what to try instead."""


class Dataset(ABC):
    """Examples by index. The index names an example in results and keys its noise, so it never changes."""

    @abstractmethod
    def indices(self) -> list[int]:
        """The examples to certify, in order."""

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """One image, (3, H, W), RGB, float32 in [0, 1]. Raises IndexError where there is none of that index."""

    def fingerprint(self) -> str:
        """What the data is, where the settings do not say it: part of a run's identity. Empty by default."""
        return ""


def read_image(path: Path) -> Tensor:
    """An image file as (3, H, W), RGB, float32 in [0, 1]. Raises MissingDataError where it cannot be read."""
    try:
        with Image.open(path) as image:
            pixels = pil_to_tensor(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise MissingDataError(f"{path}: not a readable image ({error})") from error
    return pixels.to(torch.float32) / 255
