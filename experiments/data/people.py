"""Photographs of people that ship with Python packages. No download is needed."""

import torch
from torch import Tensor

from experiments.data.base import PIXELS, Dataset
from experiments.data.packaged import folder_of, square

SIDE = 256
FILES = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/camera.png"),
    ("foolbox", "data/imagenet_02_438.jpg"),
)


class People(Dataset):
    """Three photographs with a person, 3 x 256 x 256, k / 255: the central square of each, resized.

    The portrait of an astronaut (NASA, public domain), a cameraman (gray; L. Kelly, CC0), and hands that pour from a
    beaker (an example of ImageNet in foolbox, for research).

    Raises:
        MissingDataError: on access: a package is missing.
    """

    units = PIXELS
    levels = 255

    def indices(self) -> list[int]:
        return list(range(len(FILES)))

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(FILES):
            raise IndexError(f"people: indices are 0 to {len(FILES) - 1}, got {index}")
        package, file = FILES[index]
        return square(folder_of(package, "people") / file, SIDE).to(torch.float32) / self.levels

    def file(self, index: int) -> str:
        return FILES[index][1]
