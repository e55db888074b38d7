"""CIFAR-10, in the layout that torchvision keeps it in."""

import torchvision

from experiments.data.base import Images, LabelledDataset, every
from experiments.data.torchvision_images import torchvision_images

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR10(LabelledDataset):
    """Photographs of ten kinds of things, 32 x 32 (Krizhevsky 2009): 50,000 training and 10,000 test images.

    Args:
        root: folder that holds `cifar-10-batches-py/`.
        download: fetch it if it is not there.
        step: certify every so-manieth test image; every 20th in Cohen et al.

    Raises:
        MissingDataError: the images are not under `root`.
    """

    shape = (3, 32, 32)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # those of Cohen et al.

    def __init__(self, root: str = "data", download: bool = False, step: int = 20) -> None:
        self.root, self.download = root, download
        self.classes = list(CLASSES)
        self._testing = self._read(train=False)
        self._indices = every(step, len(self._testing))

    def indices(self) -> list[int]:
        return self._indices

    def training(self) -> Images:
        return self._read(train=True)

    def testing(self) -> Images:
        return self._testing

    def _read(self, train: bool) -> Images:
        return torchvision_images(torchvision.datasets.CIFAR10, self.root, "cifar-10-batches-py", train, self.download)
