"""Data sets in torchvision's layouts, read into memory."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from experiments.data.base import PIXELS, Images, LabelledDataset, MissingDataError, every
from experiments.data.fingerprints import hash_of_images
from smoothing.user_code import first_line


class TorchvisionImages(LabelledDataset):
    """A torchvision data set, in torchvision's layout.

    Args:
        root: folder that contains `folder`.
        download: whether to fetch missing files.
        step: certify every `step`-th test image. Cohen et al. use 20.

    Attributes:
        kind: torchvision's class.
        folder: name of its folder under `root`.
        names: class names, in order of the labels.

    Raises:
        MissingDataError: the images are missing, incomplete or could not be fetched. The message names the file.
    """

    units = PIXELS
    kind: ClassVar[Any]
    folder: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    def __init__(self, root: str = "data", download: bool = False, step: int = 20) -> None:
        self.root, self.download = root, download
        self.classes = list(self.names)
        self._testing = self._read(train=False)
        self._indices = every(step, len(self._testing))

    def indices(self) -> list[int]:
        return self._indices

    def training(self) -> Images:
        return self._read(train=True)

    def testing(self) -> Images:
        return self._testing

    def contents(self) -> str:
        """Hash of the test images and their labels."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        return hash_of_images(self._testing)

    @abstractmethod
    def arrays(self, train: bool) -> tuple[Tensor, Tensor]:
        """Pixels, (n, C, H, W), uint8, and labels, (n,), of one part. Any exception may be raised on failure."""

    @abstractmethod
    def fault(self) -> str:
        """Which file is missing or damaged, in a few words; empty if unknown."""

    def _read(self, train: bool) -> Images:
        try:
            pixels, labels = self.arrays(train)
            if len(pixels) != len(labels) or not len(labels) or pixels.shape[1:] != self.shape:
                raise ValueError(f"{len(labels)} labels for images of shape {tuple(pixels.shape)}")
            least, most = int(labels.min()), int(labels.max())
            if least < 0 or most >= len(self.names):
                raise ValueError(f"labels are {least} to {most}, expected 0 to {len(self.names) - 1}")
        except Exception as error:  # damaged files can raise any exception
            raise MissingDataError(
                f"dataset.root: no {self.kind.__name__}, or a damaged one, in '{self.root}/{self.folder}' "
                f"({self.fault() or first_line(error)}). Set dataset.root=<folder that holds {self.folder}>, fetch it "
                "with dataset.download=true, or try the embedded digits: dataset=digits"
            ) from error
        return Images(pixels, labels.to(torch.int64))

    @property
    def base(self) -> Path:
        """The folder that contains the files."""
        return Path(self.root) / self.folder
