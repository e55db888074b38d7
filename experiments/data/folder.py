"""Any folder of images."""

from functools import cached_property
from pathlib import Path

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from experiments.data.base import PIXELS, Dataset, MissingDataError, refuse_or_skip, size_or_none
from experiments.data.fingerprints import hash_of_content
from experiments.data.image_file import EXTENSIONS, open_image
from experiments.data.listing import Listing, shown


class ImageFolder(Dataset):
    """All images in a folder and its subfolders, sorted by relative path.

    Hidden files and folders are ignored (`listing.py`). Links are followed. Pixels are k / 255, also after shrinking.

    Args:
        root: the folder.
        size: longest side in pixels. Larger images are shrunk (bilinear, antialiased). None leaves every image as is.
        unreadable: "refuse" stops a run that would certify an unreadable image; "skip" leaves the image out.

    Raises:
        MissingDataError: the folder does not exist or has no images. On access: the image cannot be read.
        SettingError: a value is out of range.
    """

    units = PIXELS
    levels = 255

    def __init__(self, root: str, size: int | None = None, unreadable: str = "refuse") -> None:
        self.root, self.size, self.unreadable = Path(root), size_or_none(size), refuse_or_skip(unreadable)
        if not self.root.is_dir():
            raise MissingDataError(
                f"dataset.root: no folder '{root}'. Set dataset.root=<folder of images>, "
                "or try the embedded photographs: dataset=faces"
            )
        listing = Listing(self.root)
        self._paths = sorted(listing.images_below(self.root), key=lambda path: path.relative_to(self.root).as_posix())
        listing.report()
        if not self._paths:
            raise MissingDataError(f"dataset.root: no images in '{root}' (looked for {', '.join(EXTENSIONS)})")

    def indices(self) -> list[int]:
        return list(range(len(self._paths)))

    def __getitem__(self, index: int) -> Tensor:
        image = open_image(self._paths[self._known(index)])
        if self.size is not None:
            image.thumbnail((self.size, self.size), Image.Resampling.BILINEAR, reducing_gap=None)
        return pil_to_tensor(image).float() / self.levels

    def file(self, index: int) -> str:
        return shown(self._paths[self._known(index)], self.root)

    def fingerprint(self) -> str:
        """Hash of the images' relative paths and bytes. The folder may move, but its content must not change."""
        return self._content

    @cached_property
    def _content(self) -> str:
        return hash_of_content(self.root, self._paths)

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._paths):
            raise IndexError(f"{self.root}: indices are 0 to {len(self._paths) - 1}, got {index}")
        return index
