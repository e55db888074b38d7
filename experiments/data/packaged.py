"""Photographs that ship with Python packages."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.data.base import MissingDataError
from experiments.data.image_file import open_image


def folder_of(package: str, dataset: str) -> Path:
    """The folder of an installed package. Raises MissingDataError, in the data set's name, if there is none."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingDataError(f"{dataset}: the package {package} is missing; install the extra 'suite'")
    return Path(spec.origin).parent


def square(path: Path, length: int) -> Tensor:
    """The central square of a photograph, resized (bicubic, antialiased): (3, length, length), uint8."""
    photograph = open_image(path)
    side = min(photograph.size)
    left, top = ((whole - side) // 2 for whole in photograph.size)
    box = (left, top, left + side, top + side)
    pixels = photograph.resize((length, length), Image.Resampling.BICUBIC, box)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()
