"""Photographs that ship with Python packages."""

from abc import abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.data.base import PIXELS, Dataset, MissingDataError
from experiments.data.image_file import open_image


def folder_of(package: str, dataset: str) -> Path:
    """The folder of an installed package. Raises MissingDataError, in the data set's name, if there is none."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingDataError(f"{dataset}: the package {package} is missing; install the extra 'suite'")
    return Path(spec.origin).parent


def square(path: Path, length: int) -> Tensor:
    """The central square of a photograph, resized: (3, length, length), uint8."""
    photograph = open_image(path)
    side = min(photograph.size)
    left, top = ((whole - side) // 2 for whole in photograph.size)
    return resized(photograph, (length, length), (left, top, left + side, top + side))


def resized(photograph: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> Tensor:
    """A photograph, or a box of it (left, top, right, bottom), resized (bicubic, antialiased): (3, H, W), uint8.

    Args:
        photograph: of three channels.
        size: width and height.
        box: in pixels; the whole photograph if not given.
    """
    pixels = photograph.resize(size, Image.Resampling.BICUBIC, box)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()


class PackagedPhotographs(Dataset):
    """Photographs that ship with packages, in a fixed order; k / 255.

    Class attributes:
        files: package, and the file in it, of each.
    """

    units = PIXELS
    levels = 255
    files: ClassVar[tuple[tuple[str, str], ...]]

    @abstractmethod
    def cut(self, index: int, path: Path) -> Tensor:
        """The pixels of a photograph in a file, (3, H, W), uint8."""

    def indices(self) -> list[int]:
        return list(range(len(self.files)))

    def __getitem__(self, index: int) -> Tensor:
        name = type(self).__name__.lower()
        if not 0 <= index < len(self.files):
            raise IndexError(f"{name}: indices are 0 to {len(self.files) - 1}, got {index}")
        package, file = self.files[index]
        return self.cut(index, folder_of(package, name) / file).to(torch.float32) / self.levels

    def file(self, index: int) -> str:
        return self.files[index][1]
