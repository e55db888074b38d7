"""ImageNet-sized photographs that ship with scikit-image. No download is needed."""

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from experiments.data.base import PIXELS, Dataset

SIDE = 224
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


class Photographs(Dataset):
    """Four color photographs, 3 x 224 x 224, float32 k / 255: the central square of each, resized.

    A portrait (NASA, public domain), a cat (S. van der Walt, CC0), a cup of coffee (R. Michetti, CC0) and a rocket
    (SpaceX, public domain), from scikit-image.
    """

    units = PIXELS
    levels = 255

    def indices(self) -> list[int]:
        return list(range(len(NAMES)))

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(NAMES):
            raise IndexError(f"photographs: indices are 0 to {len(NAMES) - 1}, got {index}")
        pixels = getattr(skimage.data, NAMES[index])()
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(pixels[top : top + side, left : left + side]).resize((SIDE, SIDE))
        return torch.from_numpy(np.array(square)).permute(2, 0, 1).to(torch.float32) / self.levels
