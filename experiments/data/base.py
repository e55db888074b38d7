"""What the certification run and the training need of a data set."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from smoothing import SettingError, SmoothingError


class MissingDataError(SmoothingError):
    """Data that is not where it was looked for; the message says where to put it, and what to try instead."""


class Dataset(ABC):
    """Examples by index. The index names an example in results and keys its noise, so it never changes."""

    @abstractmethod
    def indices(self) -> list[int]:
        """The examples to certify, in order."""

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """One input: an image, (C, H, W), float32 in [0, 1], unless the class says what else. Raises IndexError where
        there is none of that index.
        """

    def fingerprint(self) -> str:
        """What the data is, where the settings do not say it: part of a run's identity. Empty by default."""
        return ""

    @cached_property
    def content(self) -> str:
        """`fingerprint()`, found once: it may read every file."""
        return self.fingerprint()

    def file(self, index: int) -> str | None:
        """The file of an example, relative to the data set's folder; None where examples are not files."""
        return None


class LabelledImages(ABC):
    """Labelled images to train on, read in batches of uint8 pixels."""

    labels: Tensor  # (n,), int64

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batches(
        self, chunks: Sequence[NDArray[np.int64]], device: torch.device, key: np.random.SeedSequence, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The images that each chunk of positions names: pixels (b, C, H, W), uint8, and labels (b,), on the device.

        Args:
            chunks: positions, (b,) each.
            device: where the batches are wanted.
            key: of the random choices, if any, that reading an image involves.
            workers: processes that read files, where there are files to read.
        """


@dataclass(frozen=True)
class Images(LabelledImages):
    """Labelled images in memory.

    Attributes:
        pixels: (n, C, H, W), uint8; a pixel's value is pixels / levels.
        labels: (n,), int64.
    """

    pixels: Tensor
    labels: Tensor

    def batches(
        self, chunks: Sequence[NDArray[np.int64]], device: torch.device, key: np.random.SeedSequence, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        pixels, labels = self.pixels.to(device), self.labels.to(device)
        for chunk in chunks:
            chosen = torch.from_numpy(chunk).to(device)
            yield pixels[chosen], labels[chosen]


class LabelledDataset(Dataset):
    """Test images with labels to certify, training images to train on, and what a classifier must know of them.

    Attributes:
        classes: names, in order of the labels.
        levels: pixel values are k / levels for k = 0, ..., levels.
        shape: (C, H, W) of an image.
        mean: per channel, in [0, 1] pixel units, of the normalisation that classifiers begin with.
        std: the same.
    """

    classes: list[str]
    levels: int = 255
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @abstractmethod
    def training(self) -> LabelledImages:
        """The images to train on. Raises MissingDataError where they are not there."""

    @abstractmethod
    def testing(self) -> Images:
        """The test images; where they are too many for memory, those of `indices()` only."""

    @cached_property
    def _test(self) -> Images:
        return self.testing()

    def __getitem__(self, index: int) -> Tensor:
        return self._test.pixels[self._known(index)].to(torch.float32) / self.levels

    def label(self, index: int) -> int:
        """The class of a test image. Raises IndexError where there is none of that index."""
        return int(self._test.labels[self._known(index)])

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._test):
            name = type(self).__name__
            raise IndexError(f"{name}: the test images have indices 0 to {len(self._test) - 1}, got {index}")
        return index


def every(step: int, count: int) -> list[int]:
    """Indices 0, step, 2 step, ... below count. Raises SettingError."""
    if step < 1:
        raise SettingError(f"dataset.step: expected at least 1, got {step}")
    return list(range(0, count, step))


def open_image(path: Path) -> Image.Image:
    """An image file, decoded, RGB. Raises MissingDataError where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise MissingDataError(f"{path}: not a readable image ({error})") from error
