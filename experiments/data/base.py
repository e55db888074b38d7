"""What the certification run and the training need of a data set."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothing import SettingError, SmoothingError

NAMED = 3  # of the examples that cannot be read, so many are named


class MissingDataError(SmoothingError):
    """Data that is not where it was looked for; the message says where to put it, and what to try instead."""


class Dataset(ABC):
    """Examples by index. The index names an example in results and keys its noise, so it never changes.

    Attributes:
        unreadable: what `check` does about an example that cannot be read: refuse, skip, or None, which refuses where
            the user has no choice.
    """

    unreadable: str | None = None

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
    def cached_fingerprint(self) -> str:
        """`fingerprint()`, found once: it may read every file."""
        return self.fingerprint()

    def file(self, index: int) -> str | None:
        """The file of an example, relative to the data set's folder; None where examples are not files."""
        return None

    def contents(self) -> str:
        """A cheap hash of what the data is, which run.json keeps beside the identity: a run is continued on the same
        data alone. Empty by default, and where `fingerprint` says it.
        """
        return ""

    def check(self, indices: Sequence[int]) -> list[int]:
        """Those of the examples that can be read, each read once: called before anything is sampled.

        Raises:
            MissingDataError: some cannot be read, unless `unreadable` is skip; then one line on stderr names them. None
                can be read.
        """
        readable, faults = [], []
        for index in indices:
            try:
                self[index]
                readable.append(index)
            except MissingDataError as error:
                faults.append(str(error))
        if not faults:
            return readable
        more = f"; {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        found = f"{len(faults)} of {len(indices)} examples cannot be read: {'; '.join(faults[:NAMED])}{more}"
        if self.unreadable != "skip" or not readable:
            advice = (
                "; replace the files, or leave them out with dataset.unreadable=skip"
                if self.unreadable == "refuse"
                else ""
            )
            raise MissingDataError(f"dataset: {found}{advice}")
        print(f"dataset.unreadable=skip: {found}", file=sys.stderr)
        return readable


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


def refuse_or_skip(unreadable: str) -> str:
    """`dataset.unreadable`, checked. Raises SettingError."""
    if unreadable not in ("refuse", "skip"):
        raise SettingError(f"dataset.unreadable: expected refuse or skip, got {unreadable}")
    return unreadable


def size_or_none(size: int | None) -> int | None:
    """`dataset.size`, checked. Raises SettingError."""
    if size is not None and size < 1:
        raise SettingError(f"dataset.size: expected at least 1 pixel, or null, got {size}")
    return size
