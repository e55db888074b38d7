"""The interface of a data set: what certification and training call."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.data.declared import declared, require_labels, require_normalisation, require_pixels
from smoothing import SettingError, SmoothingError
from smoothing.user_code import LIBRARIES, innermost

PIXELS = "pixels in [0, 1]"
NAMED = 3  # unreadable examples that a message names


class MissingDataError(SmoothingError):
    """Data was not found or cannot be read. The message says where to put it and what to try instead."""


class Dataset(ABC):
    """Examples by index. The index identifies an example in results and seeds its noise, so it must never change.

    Attributes:
        units: units of the inputs' numbers, for axis titles, such as `PIXELS` or "cm". Empty: the title has none.
        unreadable: what `check` does when an example cannot be read: "refuse" or "skip". None refuses, and marks a data
            set that offers no such setting.
        not_identity: arguments that are not part of a run's identity, because they do not change the examples. A run
            compares each example with the one that its rows are of (examples.csv).
    """

    units: str = ""
    unreadable: str | None = None
    not_identity: ClassVar[tuple[str, ...]] = ("root", "download", "unreadable")

    @abstractmethod
    def indices(self) -> list[int]:
        """The examples to certify, in order."""

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """One input: an image, (C, H, W), float32 in [0, 1], unless the class documents another form.

        Raises IndexError if there is no example with that index.
        """

    def fingerprint(self) -> str:
        """A hash of the data if the settings do not determine it. Part of a run's identity. Empty by default."""
        return ""

    @cached_property
    def cached_fingerprint(self) -> str:
        """`fingerprint()`, computed once because it may read every file."""
        return self.fingerprint()

    def file(self, index: int) -> str | None:
        """An example's file, relative to the data set's folder. None if examples are not files."""
        return None

    def contents(self) -> str:
        """A cheap hash of the data. run.json stores it, and a run continues only if it is unchanged.

        It is not part of the run's identity. Empty by default, and if `fingerprint` already identifies the data.
        """
        return ""

    def check(self, indices: Sequence[int]) -> list[int]:
        """Read each example once, and return the indices of those that can be read. Called before any sampling.

        If `unreadable` is "skip", one line on stderr names the examples that are skipped.

        Raises:
            MissingDataError: no example can be read; or some cannot, and `unreadable` is not "skip".
        """
        readable, faults = [], []
        for index in indices:
            try:
                example(self, index)
                readable.append(index)
            except MissingDataError as error:
                faults.append(str(error).removeprefix("dataset: "))
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


def require_dataset(made: object) -> Any:
    """The object that `dataset._target_` has made. Raises SettingError if its class is not a `Dataset`."""
    if not isinstance(made, Dataset):
        raise SettingError(
            f"dataset: expected a class derived from experiments.data.Dataset, got {type(made).__name__}; see "
            "docs/add_a_data_set.md"
        )
    return made


def example(dataset: Dataset, index: int) -> Tensor:
    """An example whose index is one of `Dataset.indices`.

    Raises:
        SettingError: there is no such example.
        MissingDataError: it cannot be read.
    """
    try:
        return dataset[index]
    except OSError as error:
        frame = innermost(error, LIBRARIES)
        where = f" ({frame.filename}:{frame.lineno}, in {frame.name})" if frame else ""
        raise MissingDataError(
            f"dataset: example {index} cannot be read: {type(error).__name__}: {error}{where}"
        ) from error
    except IndexError as error:
        raise SettingError(
            f"dataset: {type(dataset).__name__}.indices(): {index} is the index of no example ({error})"
        ) from error


class LabelledImages(ABC):
    """Labelled images to train on, read in batches of uint8 pixels; or other inputs with targets (`TargetDataset`)."""

    labels: Tensor  # (n,), int64; targets (n, ...)

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batches(
        self, chunks: Sequence[NDArray[np.int64]], device: torch.device, key: np.random.SeedSequence, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One batch for each chunk of positions: pixels (b, C, H, W), uint8, and labels (b,), on the device.

        Args:
            chunks: positions of the images of each batch, (b,) each.
            device: device to put the batches on.
            key: seed of any random choices made when an image is read, such as crops.
            workers: number of processes that read files. Ignored for images in memory.
        """

    def contents(self, positions: NDArray[np.int64]) -> Iterator[Tensor | bytes]:
        """What tells the images at these positions from others, for the hash that a checkpoint holds of its data."""
        chunks = [positions[k : k + 1] for k in range(len(positions))]
        for pixels, _ in self.batches(chunks, torch.device("cpu"), np.random.SeedSequence(0), 0):
            yield pixels


@dataclass(frozen=True)
class Images(LabelledImages):
    """Labelled images in memory.

    Attributes:
        pixels: (n, C, H, W), uint8; a pixel's value is pixels / levels. Without levels, inputs (n, ...), float32.
        labels: (n,), int64; targets (n, ...) of a `TargetDataset`.
    """

    pixels: Tensor
    labels: Tensor

    def batches(
        self, chunks: Sequence[NDArray[np.int64]], device: torch.device, key: np.random.SeedSequence, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        pixels, labels = self.pixels.to(device), self.labels.to(device)
        positions = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *chunks])).to(device)  # the only wait
        for chosen in positions.split([len(chunk) for chunk in chunks]):
            yield pixels[chosen], labels[chosen]


class TargetDataset(Dataset):
    """Test inputs to certify, and inputs with targets to train on, such as numbers or label maps.

    Attributes:
        classes: class names, if the targets are numbers of classes; empty otherwise.
        levels: inputs are k / levels for k = 0, ..., levels. None: they are any numbers.
        shape: shape of an input.
    """

    classes: Sequence[str] = ()
    levels: int | None = None
    shape: tuple[int, ...]

    @abstractmethod
    def training(self) -> LabelledImages:
        """The inputs to train on, with their targets. Raises MissingDataError if they are not found."""

    @abstractmethod
    def testing(self) -> Images:
        """The test inputs, with their targets. If they do not fit into memory, only those of `indices()`."""

    @cached_property
    def _test(self) -> Images:
        images = self.testing()
        self.require_images(images, "testing()")
        return images

    def require_images(self, images: LabelledImages, source: str) -> None:
        """Raise SettingError unless images of `testing()` or `training()` are what the class declares."""
        name = f"dataset: {type(self).__name__}.{source}"
        if not isinstance(images, LabelledImages):
            raise SettingError(f"{name}: expected Images(pixels, labels), got {type(images).__name__}")
        if isinstance(images, Images):
            require_pixels(name, images.pixels, self.levels, getattr(self, "shape", None))
        if not isinstance(images.labels, Tensor):
            raise SettingError(f"{name}: expected labels as a tensor, got {type(images.labels).__name__}")
        if isinstance(images, Images) and len(images.pixels) != len(images.labels):
            raise SettingError(f"{name}: {len(images.pixels)} images have {len(images.labels)} labels")

    def __getitem__(self, index: int) -> Tensor:
        return self._test.pixels[self._known(index)].to(torch.float32) / (self.levels or 1)

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._test):
            name = type(self).__name__
            raise IndexError(f"{name}: the test images have indices 0 to {len(self._test) - 1}, got {index}")
        return index


class LabelledDataset(TargetDataset):
    """Labelled test inputs to certify, labelled inputs to train on, and the constants that a classifier needs.

    Attributes:
        classes: class names, in order of the labels.
        levels: pixel values are k / levels for k = 0, ..., levels. None: inputs are any numbers.
        shape: shape of an input: (C, H, W) of an image.
        mean: mean of each channel, in [0, 1] pixel units, for the normalisation layer of classifiers. Empty if no
            network needs it.
        std: standard deviation of each channel, in the same units.
    """

    classes: list[str]
    levels: int = 255
    shape: tuple[int, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def require_images(self, images: LabelledImages, source: str) -> None:
        super().require_images(images, source)
        require_labels(f"dataset: {type(self).__name__}.{source}", images.labels, declared(self, "classes"))
        shape = getattr(self, "shape", ())
        require_normalisation(self, shape[0] if shape else None)

    def label(self, index: int) -> int:
        """The label of a test image. Raises IndexError if there is no test image with that index."""
        return int(self._test.labels[self._known(index)])


def every(step: int, count: int) -> list[int]:
    """Indices 0, step, 2 step, ... below count. Raises SettingError if step is below 1."""
    if step < 1:
        raise SettingError(f"dataset.step: expected at least 1, got {step}")
    return list(range(0, count, step))


def refuse_or_skip(unreadable: str) -> str:
    """`dataset.unreadable`, checked. Raises SettingError if it is neither refuse nor skip."""
    if unreadable not in ("refuse", "skip"):
        raise SettingError(f"dataset.unreadable: expected refuse or skip, got {unreadable}")
    return unreadable


def size_or_none(size: int | None) -> int | None:
    """`dataset.size`, checked. Raises SettingError if it is below 1."""
    if size is not None and size < 1:
        raise SettingError(f"dataset.size: expected at least 1 pixel, or null, got {size}")
    return size
