"""Photographs of people that ship with Python packages. No download is needed."""

from pathlib import Path

from torch import Tensor

from experiments.data.packaged import PackagedPhotographs, square

SIDE = 256


class People(PackagedPhotographs):
    """Three photographs with a person, 3 x 256 x 256, k / 255: the central square of each, resized.

    The portrait of an astronaut (NASA, public domain), a cameraman (gray; L. Varshney, CC0), and hands that pour from a
    beaker (an example of ImageNet in foolbox, for research).

    Raises:
        MissingDataError: on access: a package is missing.
    """

    files = (
        ("skimage", "data/astronaut.png"),
        ("skimage", "data/camera.png"),
        ("foolbox", "data/imagenet_02_438.jpg"),
    )

    def cut(self, index: int, path: Path) -> Tensor:
        return square(path, SIDE)
