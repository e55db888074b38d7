"""Random crops and flips of a whole batch at once, on the batch's device."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """One random crop and flip for each image of a batch of b.

    Attributes:
        down: row at which the crop of the padded image starts, 0 to 2 padding: (b,).
        right: column at which it starts, 0 to 2 padding: (b,).
        flip: whether the image is mirrored left to right: (b,).
        padding: width of the border of zeros that is added on each side before the crop, in pixels.
    """

    down: NDArray[np.int64]
    right: NDArray[np.int64]
    flip: NDArray[np.bool_]
    padding: int

    @staticmethod
    def draw(count: int, padding: int, flip: bool, random: np.random.Generator) -> "Augmentation":
        """Random choices for `count` images. Padding 0 disables the crop."""
        down, right = random.integers(0, 2 * padding + 1, size=(2, count))
        return Augmentation(down, right, (random.random(count) < 0.5) & flip, padding)

    def __getitem__(self, part: slice) -> "Augmentation":
        """The choices for a part of the batch."""
        return Augmentation(self.down[part], self.right[part], self.flip[part], self.padding)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Crop and flip a batch: (b, C, H, W) -> (b, C, H, W), any dtype."""
        device = pixels.device
        if self.flip.any():
            flip = _moved(self.flip, device)[:, None, None, None]
            pixels = torch.where(flip, pixels.flip(-1), pixels)
        if not self.padding:
            return pixels
        b, channels, height, width = pixels.shape
        padded = functional.pad(pixels, (self.padding,) * 4)
        rows = _moved(self.down, device)[:, None] + torch.arange(height, device=device)
        columns = _moved(self.right, device)[:, None] + torch.arange(width, device=device)
        image, channel = torch.arange(b, device=device), torch.arange(channels, device=device)
        return padded[
            image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
        ]


def _moved(choices: NDArray[Any], device: torch.device) -> Tensor:
    """The choices on the device. The host does not wait for the work that is queued there."""
    return torch.from_numpy(choices).to(device, non_blocking=True)
