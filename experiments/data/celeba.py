"""CelebA, in torchvision's layout or in Kaggle's."""

import sys
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from experiments.data.base import PIXELS, Dataset, MissingDataError, refuse_or_skip
from experiments.data.fingerprints import hash_of_names
from experiments.data.image_file import is_web_page, open_image

LIST = "list_eval_partition"
TEST = "2"  # the list marks training images with 0, validation images with 1 and test images with 2
TEST_IMAGES = 19_962


class CelebA(Dataset):
    """Random test images of CelebA (Liu et al. 2015), aligned and cropped, 178 x 218.

    The files lie in `<root>/celeba/` or directly in `<root>/`. Two layouts are supported: torchvision's
    (`img_align_celeba/*.jpg`, `list_eval_partition.txt`) and Kaggle's (`img_align_celeba/img_align_celeba/*.jpg`,
    `list_eval_partition.csv`). The other lists (attributes, identities, landmarks, boxes) are not needed.

    Args:
        root: folder that contains `celeba/`.
        count: number of test images to certify, drawn without replacement.
        seed: seed of that draw.
        unreadable: "refuse" stops a run that would certify an unreadable image; "skip" leaves the image out.

    Raises:
        MissingDataError: the images or the list are not under `root`, or the list is damaged. On access: the image
            cannot be read.
        SettingError: a value is out of range.
    """

    units = PIXELS
    levels = 255

    def __init__(self, root: str, count: int = 50, seed: int = 0, unreadable: str = "refuse") -> None:
        self.count, self.seed, self.unreadable = count, seed, refuse_or_skip(unreadable)
        listing = _found(root)
        self.root = listing.parent
        images = self.root / "img_align_celeba"
        inner = images / "img_align_celeba"
        self._paths = [(inner if inner.is_dir() else images) / name for name in _test_names(listing)]

    def indices(self) -> list[int]:
        chosen = np.random.default_rng(self.seed).choice(
            len(self._paths), min(self.count, len(self._paths)), replace=False
        )
        return [int(index) for index in chosen]

    def __getitem__(self, index: int) -> Tensor:
        return pil_to_tensor(open_image(self._paths[self._known(index)])).float() / self.levels

    def file(self, index: int) -> str:
        return self._paths[self._known(index)].relative_to(self.root).as_posix()

    def contents(self) -> str:
        """Hash of the test images' names and the sizes of those in `indices()`."""
        return self._names

    @cached_property
    def _names(self) -> str:
        names = (path.name for path in self._paths)  # without folders, so that both layouts hash alike
        return hash_of_names(names, {index: self._paths[index] for index in self.indices()})

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._paths):
            raise IndexError(f"celeba: the test split has indices 0 to {len(self._paths) - 1}, got {index}")
        return index


def _found(root: str) -> Path:
    """The list's path, in the folder that also has the images. Raises MissingDataError if either is missing."""
    folders = [Path(root) / "celeba", Path(root)]
    lists = [folder / f"{LIST}.{ending}" for folder in folders for ending in ("txt", "csv")]
    listing = next((path for path in lists if path.is_file()), None)
    images = [folder for folder in folders if (folder / "img_align_celeba").is_dir()]
    if listing and listing.parent in images:
        return listing
    if listing or images:
        where = listing.parent if listing else images[0]
        zipped = "; unpack img_align_celeba.zip there" if (where / "img_align_celeba.zip").is_file() else ""
        what = "the folder img_align_celeba" if listing else f"the list {LIST}.txt, or Kaggle's {LIST}.csv,"
        raise MissingDataError(f"dataset.root: {what} is missing in '{where}'{zipped}")
    raise MissingDataError(
        f"dataset.root: no CelebA in '{root}/celeba'. Put the folder img_align_celeba/ and the list {LIST}.txt "
        f"(Kaggle: {LIST}.csv) there, or set dataset.root=<folder that holds celeba/>. "
        "Without CelebA, try the embedded photographs: dataset=faces"
    )


def _test_names(listing: Path) -> list[str]:
    """The file names of the test images, in list order. Raises MissingDataError if the list is damaged."""
    try:
        content = listing.read_bytes()
        lines = content.decode().split("\n")
    except (OSError, ValueError) as error:
        raise MissingDataError(f"{listing}: not a readable list ({error}); fetch it again") from error
    if is_web_page(content):
        raise MissingDataError(f"{listing}: a web page instead of the list; the download failed, fetch it again")
    names = []
    for number, line in enumerate(lines, start=1):
        fields = line.replace(",", " ").split()
        if not fields or (number == 1 and fields[0] == "image_id"):
            continue
        if len(fields) != 2 or not fields[0].endswith(".jpg") or fields[1] not in ("0", "1", "2"):
            raise MissingDataError(
                f"{listing}: line {number} is '{line.strip()[:60]}', expected an image and 0, 1 or 2, as "
                "'000001.jpg 0'; fetch the list again"
            )
        if fields[1] == TEST:
            names.append(fields[0])
    if not names:
        raise MissingDataError(f"{listing}: the list contains no test image; fetch it again")
    if len(names) != TEST_IMAGES:
        print(f"{listing}: the list contains {len(names):,} test images, expected {TEST_IMAGES:,}", file=sys.stderr)
    return names
