"""MNIST, in the layout that torchvision keeps it in."""

import torchvision

from experiments.data.base import Images, LabelledDataset, every
from experiments.data.torchvision_images import torchvision_images


class MNIST(LabelledDataset):
    """Handwritten digits, 28 x 28, gray (LeCun et al. 1998): 60,000 training and 10,000 test images.

    Args:
        root: folder that holds `MNIST/raw/` with the four files, unpacked.
        download: fetch them if they are not there.
        step: certify every so-manieth test image.

    Raises:
        MissingDataError: the images are not under `root`.
    """

    shape = (1, 28, 28)
    mean, std = (0.1307,), (0.3081,)

    def __init__(self, root: str = "data", download: bool = False, step: int = 20) -> None:
        self.root, self.download = root, download
        self.classes = [str(digit) for digit in range(10)]
        self._testing = self._read(train=False)
        self._indices = every(step, len(self._testing))

    def indices(self) -> list[int]:
        return self._indices

    def training(self) -> Images:
        return self._read(train=True)

    def testing(self) -> Images:
        return self._testing

    def _read(self, train: bool) -> Images:
        return torchvision_images(torchvision.datasets.MNIST, self.root, "MNIST", train, self.download)
