"""Your own labelled images of one size, in one folder per class."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from shlex import quote

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

from experiments.data.base import PIXELS, Images, LabelledDataset, MissingDataError, refuse_or_skip, size_or_none
from experiments.data.fingerprints import hash_of_content
from experiments.data.image_file import EXTENSIONS, open_image
from experiments.data.listing import Listing, shown, warn_of_numbers
from smoothing import SettingError


class Classes(LabelledDataset):
    """Your own classes, RGB: `<root>/train/<class>/*` to train on and `<root>/test/<class>/*` to certify.

    The classes are the folders in `train/` that contain images, sorted as text. Without `train/`, for a model that is
    already trained, they are the folders in `test/`. Test images are numbered in order of their paths. Training keeps
    all images in memory, so use this for small images.

    Args:
        root: the folder.
        mean: mean of each channel, in [0, 1] pixel units, for the normalisation layer of classifiers.
        std: standard deviation of each channel, in the same units.
        count: number of test images to certify, drawn without replacement.
        seed: seed of that draw.
        size: pixels per side. Each image is resized (bilinear, antialiased) so that its shorter side has this length,
            then cropped to the central square. None requires images of one size and leaves them unchanged.
        unreadable: "refuse" stops at an image that cannot be read; "skip" leaves it out.

    Raises:
        MissingDataError: a folder is missing or has no images. On access: the image cannot be read.
        SettingError: there is only one class, a class is only in test/, or a value is out of range. On access: the
            image's size differs from the first image's.
    """

    units = PIXELS

    def __init__(
        self,
        root: str,
        mean: list[float],
        std: list[float],
        count: int = 500,
        seed: int = 0,
        size: int | None = None,
        unreadable: str = "refuse",
    ) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise SettingError(f"dataset.mean, dataset.std: expected three numbers each, std > 0, got {mean}, {std}")
        if count < 1:
            raise SettingError(f"dataset.count: expected at least 1, got {count}")
        self.root, self.mean, self.std = Path(root), tuple(mean), tuple(std)
        self.count, self.seed = count, seed
        self.size, self.unreadable = size_or_none(size), refuse_or_skip(unreadable)
        listing = Listing(self.root)
        train, test = (listing.classes(self.root / part) for part in ("train", "test"))
        self.classes = _class_names(self.root, train, test)
        listing.report()
        warn_of_numbers(self.classes)
        self._train_files, self._test_files = (self._labelled(part) for part in (train, test))
        self.shape = (3, *self._first_size())

    def indices(self) -> list[int]:
        many = len(self._test_files)
        chosen = np.random.default_rng(self.seed).choice(many, min(self.count, many), replace=False)
        return [int(index) for index in chosen]

    def __getitem__(self, index: int) -> Tensor:
        return self._pixels(self._test_files[self._known(index)][0]).to(torch.float32) / self.levels

    def label(self, index: int) -> int:
        return self._test_files[self._known(index)][1]

    def file(self, index: int) -> str:
        return shown(self._test_files[self._known(index)][0], self.root)

    def training(self) -> Images:
        if not self._train_files:
            raise MissingDataError(f"dataset.root: no images in '{self.root}/train/<class>' to train on")
        return self._read(self._train_files)

    def testing(self) -> Images:
        return self._read(self._test_files)

    def fingerprint(self) -> str:
        """Hash of all images' relative paths and bytes. The folder may move, but its content must not change."""
        return self._content

    @cached_property
    def _content(self) -> str:
        return hash_of_content(self.root, (path for path, _ in [*self._train_files, *self._test_files]))

    def _labelled(self, part: dict[str, list[Path]]) -> list[tuple[Path, int]]:
        """The image files of train/ or test/ and their labels, sorted by path."""
        return [(path, label) for label, name in enumerate(self.classes) for path in part.get(name, ())]

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._test_files):
            raise IndexError(f"Classes: the test images have indices 0 to {len(self._test_files) - 1}, got {index}")
        return index

    def _first_size(self) -> tuple[int, int]:
        """Height and width of every image: `size` if given, else those of the first image."""
        if self.size is not None:
            return self.size, self.size
        for path, _ in [*self._train_files, *self._test_files]:
            try:
                image = open_image(path)
                return image.height, image.width
            except MissingDataError:
                if self.unreadable == "refuse":
                    raise
        raise MissingDataError(f"dataset.root: no image in '{self.root}' can be read")

    def _pixels(self, path: Path) -> Tensor:
        """One image: `shape`, uint8."""
        image: Image.Image = open_image(path)
        if self.size is not None:
            image = center_crop(resize(image, self.size), self.size)
        if (image.height, image.width) != self.shape[1:]:
            raise SettingError(
                f"{path}: {image.height} x {image.width} pixels, expected {self.shape[1]} x {self.shape[2]} as in the "
                "first image; dataset.size=<pixels> resizes and crops all images to one size"
            )
        return pil_to_tensor(image)

    def _read(self, files: Sequence[tuple[Path, int]]) -> Images:
        pixels, labels = torch.empty(len(files), *self.shape, dtype=torch.uint8), list[int]()
        for path, label in files:
            try:
                pixels[len(labels)] = self._pixels(path)
            except MissingDataError:
                if self.unreadable == "refuse":
                    raise
                continue
            labels.append(label)
        return Images(pixels[: len(labels)], torch.tensor(labels, dtype=torch.int64))


def _advice(root: Path) -> str:
    """What to do if there is no folder test/ in the root."""
    inside = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if other := next((name for name in inside if name.lower() in ("test", "val", "valid", "validation")), ""):
        return f"Rename '{root / other}' to test, or link it: ln -s {quote(other)} {quote(str(root / 'test'))}"
    if root.name in ("train", "test") and inside:
        return f"Set dataset.root={quote(str(root.parent))}, the folder that holds {root.name}/"
    classes = [name for name in inside if any(file.suffix.lower() in EXTENSIONS for file in (root / name).iterdir())]
    if classes and "train" not in inside:
        return f"Put the folders of the classes, such as '{classes[0]}', into '{root}/test'"
    return (
        "Set dataset.root=<folder that holds train/<class>/ and test/<class>/>, or try the embedded digits: "
        "dataset=digits"
    )


def _class_names(root: Path, train: dict[str, list[Path]], test: dict[str, list[Path]]) -> list[str]:
    """The classes, in order of their labels. Raises the errors of `Classes`."""
    if not (root / "test").is_dir():
        raise MissingDataError(f"dataset.root: no folder '{root}/test'. {_advice(root)}")
    part = "train" if (root / "train").is_dir() else "test"
    names = list(train if part == "train" else test)
    if not names or not test:
        raise MissingDataError(
            f"dataset.root: no images in '{root}/{part if not names else 'test'}/<class>' (looked for "
            f"{', '.join(EXTENSIONS)})"
        )
    if len(names) < 2:
        raise SettingError(f"dataset.root: '{root}/{part}' has the images of one class, expected at least 2 classes")
    for name in test:
        if name not in names:
            raise SettingError(
                f"dataset.root: class '{name}' of '{root}/test' has no images in '{root}/train', so it has no label. "
                "Remove it from test/; or, if the model is already trained, remove the folder train/"
            )
    return names
