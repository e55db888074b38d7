"""Any folder of images."""

import hashlib
from pathlib import Path

from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import pil_to_tensor

from experiments.data.base import Dataset, MissingDataError, open_image


class ImageFolder(Dataset):
    """The images in a folder and below it, in order of their relative paths.

    Args:
        root: the folder.

    Raises:
        MissingDataError: no such folder, or no images in it; on access, an image that cannot be read.
    """

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise MissingDataError(
                f"dataset.root: no folder '{root}'. Set dataset.root=<folder of images>, "
                "or try the embedded photographs: dataset=faces"
            )
        images = (path for path in self.root.rglob("*") if path.suffix.lower() in IMG_EXTENSIONS)
        self._paths = sorted(images, key=lambda path: path.relative_to(self.root).as_posix())
        if not self._paths:
            raise MissingDataError(f"dataset.root: no images in '{root}' (looked for {', '.join(IMG_EXTENSIONS)})")

    def indices(self) -> list[int]:
        return list(range(len(self._paths)))

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(self._paths):
            raise IndexError(f"{self.root}: indices are 0 to {len(self._paths) - 1}, got {index}")
        return pil_to_tensor(open_image(self._paths[index])).float() / 255

    def file(self, index: int) -> str | None:
        return self._paths[index].relative_to(self.root).as_posix()

    def fingerprint(self) -> str:
        """Hash of the images' relative paths and bytes: the folder may move, its content may not change."""
        content = hashlib.sha256()
        for path in self._paths:
            content.update(path.relative_to(self.root).as_posix().encode() + b"\0")
            content.update(hashlib.sha256(path.read_bytes()).digest())
        return content.hexdigest()[:16]
