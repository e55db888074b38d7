"""Portraits that ship with Python packages. No download is needed."""

from pathlib import Path

from torch import Tensor

from experiments.data.image_file import open_image
from experiments.data.packaged import PackagedPhotographs, resized

HEIGHT, WIDTH = 218, 178  # CelebA's aligned and cropped format
BOXES = ((130, 0, 308, 218), (76, 0, 456, 465), (169, 76, 285, 218))  # around each face: left, top, right, bottom


class Portraits(PackagedPhotographs):
    """Three portraits, 3 x 218 x 178, k / 255: faces as large as CelebA's, cut out and resized (bicubic).

    An astronaut (NASA, public domain), G. Hopper (US Navy, public domain) and a cameraman in profile (gray;
    L. Varshney, CC0). CelebA's photographs are in no package. `dataset=folder` reads photographs of your own, and
    `dataset=celeba` reads CelebA.

    Raises:
        MissingDataError: on access: a package is missing.
    """

    files = (
        ("skimage", "data/astronaut.png"),
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        ("skimage", "data/camera.png"),
    )

    def cut(self, index: int, path: Path) -> Tensor:
        return resized(open_image(path), (WIDTH, HEIGHT), BOXES[index])
