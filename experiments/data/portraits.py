"""Portraits that ship with Python packages. No download is needed."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.data.base import PIXELS, Dataset
from experiments.data.image_file import open_image
from experiments.data.packaged import folder_of

HEIGHT, WIDTH = 218, 178  # CelebA's aligned and cropped format
FILES = (  # package, file, and the box around the face: left, top, right, bottom
    ("skimage", "data/astronaut.png", (130, 0, 308, 218)),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", (76, 0, 456, 465)),
    ("skimage", "data/camera.png", (169, 76, 285, 218)),
)


class Portraits(Dataset):
    """Three portraits, 3 x 218 x 178, k / 255: faces as large as CelebA's, cut out and resized (bicubic).

    An astronaut (NASA, public domain), G. Hopper (US Navy, public domain) and a cameraman in profile (gray; L. Kelly,
    CC0). CelebA's photographs are in no package. `dataset=folder` reads photographs of your own, and `dataset=celeba`
    reads CelebA.

    Raises:
        MissingDataError: on access: a package is missing.
    """

    units = PIXELS
    levels = 255

    def indices(self) -> list[int]:
        return list(range(len(FILES)))

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(FILES):
            raise IndexError(f"portraits: indices are 0 to {len(FILES) - 1}, got {index}")
        package, file, box = FILES[index]
        photograph = open_image(folder_of(package, "portraits") / file)
        pixels = np.array(photograph.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box))
        return torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32) / self.levels

    def file(self, index: int) -> str:
        return FILES[index][1]
