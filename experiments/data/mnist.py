"""MNIST, in torchvision's layout, unpacked or as .gz files."""

import gzip
import math
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from experiments.data.image_file import is_web_page
from experiments.data.torchvision_images import TorchvisionImages

UNSIGNED_BYTES = 8  # the type in an IDX file's header
FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


class MNIST(TorchvisionImages):
    """Handwritten digits, 28 x 28, gray (LeCun et al. 1998): 60,000 training and 10,000 test images.

    Read from `<root>/MNIST/raw/`. Each of the four files may be unpacked or a .gz.
    """

    kind, folder = torchvision.datasets.MNIST, "MNIST"
    names = tuple("0123456789")
    shape = (1, 28, 28)
    mean, std = (0.1307,), (0.3081,)

    def arrays(self, train: bool) -> tuple[Tensor, Tensor]:
        if self.download and self.missing():
            torchvision.datasets.MNIST(self.root, download=True)
        if missing := self.missing():
            raise FileNotFoundError(missing)
        part = "train" if train else "t10k"
        images, labels = (self._file(f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        return read_idx(images, 3)[:, None], read_idx(labels, 1)

    def fault(self) -> str:
        return ""  # the exception already says it

    def missing(self) -> str:
        """A text that names the first missing file of the four; empty if none is missing."""
        there = [name for name in FILES if self._file(name).is_file()]
        first = next((name for name in FILES if name not in there), None)
        return f"no raw/{first} and no .gz of it" if first else ""

    def _file(self, name: str) -> Path:
        """The unpacked file if it exists, else the .gz."""
        raw = self.base / "raw"
        return raw / name if (raw / name).is_file() else raw / f"{name}.gz"


def read_idx(path: Path, dims: int) -> Tensor:
    """Read an IDX file of bytes, gzipped or not, as a uint8 tensor with `dims` dimensions.

    Raises:
        ValueError: the format is another one, or the size differs from the header's. The message names the file.
    """
    content = path.read_bytes()
    if is_web_page(content[:512]):
        raise ValueError(f"{path.name} is a web page; the download failed")
    try:
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except Exception as error:  # EOFError, zlib.error or OSError, depending on the damage
        raise ValueError(f"{path.name} is damaged: {error}") from error
    start = 4 * (1 + dims)
    if len(content) < start or content[:4] != bytes([0, 0, UNSIGNED_BYTES, dims]):
        raise ValueError(f"{path.name} is not an IDX file of bytes in {dims} dimensions")
    shape = [int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{path.name} has {len(content) - start:,} bytes of values, expected {math.prod(shape):,}")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)
