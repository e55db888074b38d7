"""ImageNet (ILSVRC 2012) as folders of image files."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize, resized_crop

from experiments.data.base import (
    PIXELS,
    Images,
    LabelledDataset,
    LabelledImages,
    MissingDataError,
    every,
    refuse_or_skip,
)
from experiments.data.fingerprints import hash_of_names
from experiments.data.image_file import open_image
from experiments.data.listing import Listing, shown
from smoothing import SettingError

SIDE, RESIZED = 224, 256
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of a training crop: share of the image's area; width over height
ATTEMPTS = 10
WNID = "n[0-9]{8}"  # such a folder is a class even if it is empty; without it all later labels would shift


class ImageNet(LabelledDataset):
    """ImageNet's validation images to certify and its training images to train on.

    Args:
        root: folder that contains `val/<wnid>/*.JPEG` and, for training only, `train/<wnid>/*.JPEG`. Other image
            formats, such as .jpg and .png, also work.
        step: certify every `step`-th validation image, in order of their paths. Cohen et al. use 100.
        unreadable: "refuse" stops a run that would certify an unreadable image; "skip" leaves the image out. Training
            always stops when it reaches an unreadable image.

    Raises:
        MissingDataError: a folder is missing. On access: the image cannot be read.
        SettingError: there is only one class, or a value is out of range.
    """

    units = PIXELS
    shape = (3, SIDE, SIDE)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, root: str, step: int = 100, unreadable: str = "refuse") -> None:
        self.root, self.unreadable = Path(root), refuse_or_skip(unreadable)
        self.classes, self._paths, self._labels = _listed(self.root / "val")
        if len(self.classes) < 2:
            name = self.classes[0]
            raise SettingError(f"dataset.root: '{root}/val' has only one class folder, {name}; expected at least 2")
        self._indices = every(step, len(self._paths))

    def indices(self) -> list[int]:
        return self._indices

    def __getitem__(self, index: int) -> Tensor:
        return _centre(self._paths[self._known(index)]).to(torch.float32) / self.levels

    def label(self, index: int) -> int:
        return self._labels[self._known(index)]

    def file(self, index: int) -> str:
        return shown(self._paths[self._known(index)], self.root)

    def contents(self) -> str:
        """Hash of the classes, the paths of all validation images and the sizes of the files in `indices()`."""
        return self._names

    @cached_property
    def _names(self) -> str:
        names = [*self.classes, *(path.relative_to(self.root).as_posix() for path in self._paths)]
        return hash_of_names(names, {index: self._paths[index] for index in self._indices})

    def testing(self) -> Images:
        chosen = self.check(self._indices)
        pixels = torch.stack([_centre(self._paths[index]) for index in chosen])
        return Images(pixels, torch.tensor([self._labels[index] for index in chosen]))

    def training(self) -> "ImageFiles":
        classes, paths, labels = _listed(self.root / "train")
        if classes != self.classes:
            differ = sorted(set(classes) ^ set(self.classes))
            raise MissingDataError(
                f"dataset.root: '{self.root}/train' and '{self.root}/val' have different classes: {len(differ)} are in "
                f"one of them only, such as {differ[0]}"
            )
        return ImageFiles(paths, labels)

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._paths):
            raise IndexError(f"ImageNet: the validation images have indices 0 to {len(self._paths) - 1}, got {index}")
        return index


class ImageFiles(LabelledImages):
    """Training images that do not fit into memory. Worker processes read them and crop each at random to 224 x 224.

    Args:
        paths: the image files.
        labels: their labels.
    """

    def __init__(self, paths: Sequence[Path], labels: Sequence[int]) -> None:
        self.paths, self.labels = list(paths), torch.tensor(labels, dtype=torch.int64)

    def batches(
        self, chunks: Sequence[NDArray[np.int64]], device: torch.device, key: np.random.SeedSequence, workers: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            _Crops(self.paths, key),
            batch_sampler=[chunk.tolist() for chunk in chunks],
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )
        for chunk, pixels in zip(chunks, _one_line_errors(loader), strict=True):
            yield pixels.to(device, non_blocking=True), self.labels[chunk].to(device, non_blocking=True)

    def contents(self, positions: NDArray[np.int64]) -> Iterator[Tensor | bytes]:
        for position in positions:
            yield self.paths[position].read_bytes()  # decoded pixels may depend on the version of the JPEG library


class _Crops(TorchDataset[Tensor]):
    """Random crops that depend only on (key, position), so they are the same in every worker process."""

    def __init__(self, paths: list[Path], key: np.random.SeedSequence) -> None:
        self._paths, self._key = paths, key

    def __getitem__(self, position: int) -> Tensor:
        key = np.random.SeedSequence(self._key.entropy, spawn_key=(*self._key.spawn_key, position))
        image = open_image(self._paths[position])
        top, left, height, width = random_window(image.height, image.width, np.random.default_rng(key))
        return pil_to_tensor(resized_crop(image, top, left, height, width, [SIDE, SIDE]))


def random_window(height: int, width: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """A window (top, left, height, width) of random area and aspect ratio (Szegedy et al. 2015).

    If ten attempts do not fit into the image, the window is the whole image.
    """
    for _ in range(ATTEMPTS):
        area = height * width * random.uniform(*AREA)
        aspect = np.exp(random.uniform(*np.log(ASPECT)))
        h, w = round(np.sqrt(area / aspect)), round(np.sqrt(area * aspect))
        if 0 < h <= height and 0 < w <= width:
            return int(random.integers(height - h + 1)), int(random.integers(width - w + 1)), h, w
    return 0, 0, height, width


def _centre(path: Path) -> Tensor:
    """Resize the shorter side to 256 and crop the central 224 x 224 pixels: (3, 224, 224), uint8."""
    image: Image.Image = center_crop(resize(open_image(path), RESIZED), SIDE)
    return pil_to_tensor(image)


def _one_line_errors(loader: "DataLoader[Tensor]") -> Iterator[Tensor]:
    """The loader's batches. An error from a worker process is raised again without the worker's traceback."""
    try:
        yield from loader
    except MissingDataError as error:
        raise MissingDataError(str(error).strip().rpartition("MissingDataError: ")[2]) from error


def _listed(folder: Path) -> tuple[list[str], list[Path], list[int]]:
    """Classes, image files sorted by path, and their labels, from a folder of <wnid>/*.JPEG."""
    listing = Listing(folder.parent)
    images = listing.classes(folder, WNID)
    classes = list(images)
    files = [(path, label) for label, found in enumerate(images.values()) for path in found]
    flat = len(listing.images(folder)) if not files and folder.is_dir() else 0
    if flat:
        raise MissingDataError(
            f"dataset.root: '{folder}' holds {flat} images and no class folders. Sort them into {folder.name}/<wnid>/: "
            "torchvision.datasets.ImageNet(root, split='val') does so, from ILSVRC2012_img_val.tar and "
            "ILSVRC2012_devkit_t12.tar.gz in root"
        )
    if not files:
        raise MissingDataError(
            f"dataset.root: no <wnid>/*.JPEG in '{folder}'. Set dataset.root=<folder that holds val/ and, to train, "
            "train/>, or try the embedded digits: dataset=digits"
        )
    listing.report()
    return classes, [path for path, _ in files], [label for _, label in files]
