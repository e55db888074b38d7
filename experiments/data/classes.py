"""Any images of one size, in a folder for each class."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import pil_to_tensor

from experiments.data.base import Images, LabelledDataset, MissingDataError, open_image
from smoothing import SettingError


class Classes(LabelledDataset):
    """A user's own classes: `<root>/train/<class>/*` to train on and `<root>/test/<class>/*` to certify; RGB.

    Test images are numbered in order of their paths. Images are held in memory, so this is for small ones.

    Args:
        root: the folder.
        mean: per channel, in [0, 1] pixel units, of the normalisation that classifiers begin with.
        std: the same.
        count: how many test images to certify, drawn without replacement.
        seed: of that draw.

    Raises:
        MissingDataError: no such folders or no images; on access, an image that cannot be read.
        SettingError: one class only, a class that is only in test/, images of several sizes.
    """

    def __init__(self, root: str, mean: list[float], std: list[float], count: int = 500, seed: int = 0) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise SettingError(f"dataset.mean, dataset.std: expected three numbers each, std > 0, got {mean}, {std}")
        if count < 1:
            raise SettingError(f"dataset.count: expected at least 1, got {count}")
        self.root, self.mean, self.std = Path(root), tuple(mean), tuple(std)
        self.count, self.seed = count, seed
        self.classes = _class_folders(self.root / "train")
        for name in _class_folders(self.root / "test"):
            if name not in self.classes:
                raise SettingError(f"dataset.root: class '{name}' of '{root}/test' is not in '{root}/train'")
        self._train_files = self._files("train")
        self._test_files = self._files("test")
        first = open_image(self._train_files[0][0])
        self.shape = (3, first.height, first.width)

    def indices(self) -> list[int]:
        many = len(self._test_files)
        chosen = np.random.default_rng(self.seed).choice(many, min(self.count, many), replace=False)
        return [int(index) for index in chosen]

    def training(self) -> Images:
        return self._read(self._train_files)

    def testing(self) -> Images:
        return self._read(self._test_files)

    def fingerprint(self) -> str:
        """Hash of all images' relative paths and bytes: the folder may move, its content may not change."""
        content = hashlib.sha256()
        for path, _ in [*self._train_files, *self._test_files]:
            content.update(path.relative_to(self.root).as_posix().encode() + b"\0")
            content.update(hashlib.sha256(path.read_bytes()).digest())
        return content.hexdigest()[:16]

    def _files(self, part: str) -> list[tuple[Path, int]]:
        """Image files of train/ or test/ and their labels, in order of their paths."""
        files = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((self.root / part / name).glob("*"))
            if path.suffix.lower() in IMG_EXTENSIONS
        ]
        if not files:
            raise MissingDataError(f"dataset.root: no images in '{self.root}/{part}/<class>'")
        return files

    def _read(self, files: Sequence[tuple[Path, int]]) -> Images:
        pixels = torch.empty(len(files), *self.shape, dtype=torch.uint8)
        for position, (path, _) in enumerate(files):
            image = open_image(path)
            if (image.height, image.width) != self.shape[1:]:
                raise SettingError(
                    f"{path}: {image.height} x {image.width} pixels, where the first training image has "
                    f"{self.shape[1]} x {self.shape[2]}; images must be of one size"
                )
            pixels[position] = pil_to_tensor(image)
        return Images(pixels, torch.tensor([label for _, label in files], dtype=torch.int64))


def _class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted: a class's label is its place. Raises as `Classes`."""
    if not folder.is_dir():
        raise MissingDataError(
            f"dataset.root: no folder '{folder}'. Set dataset.root=<folder that holds train/<class>/ and "
            "test/<class>/>, or try the embedded digits: dataset=digits"
        )
    names = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if folder.name == "train" and len(names) < 2:
        raise SettingError(f"dataset.root: '{folder}' has {len(names)} class folders, expected at least 2")
    return names
