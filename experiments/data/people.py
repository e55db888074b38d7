"""Photographs of people that ship with Python packages. No download is needed."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.data.base import PIXELS, Dataset, MissingDataError

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
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingDataError(f"people: the package {package} is missing; install the extra 'suite'")
        return square(Path(spec.origin).parent / file, SIDE).to(torch.float32) / self.levels

    def file(self, index: int) -> str:
        return FILES[index][1]


def square(path: Path, length: int) -> Tensor:
    """The central square of a photograph, resized: (3, length, length), uint8."""
    with Image.open(path) as opened:
        photograph = opened.convert("RGB")
    side = min(photograph.size)
    left, top = ((whole - side) // 2 for whole in photograph.size)
    box = (left, top, left + side, top + side)
    pixels = photograph.resize((length, length), Image.Resampling.BICUBIC, box)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()
