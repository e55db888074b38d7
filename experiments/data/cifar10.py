"""CIFAR-10, in torchvision's layout."""

from pathlib import Path

import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import check_integrity

from experiments.data.image_file import is_web_page
from experiments.data.torchvision_images import TorchvisionImages


class CIFAR10(TorchvisionImages):
    """CIFAR-10 (Krizhevsky 2009): photographs of ten classes, 32 x 32, RGB; 50,000 training and 10,000 test images."""

    kind, folder = torchvision.datasets.CIFAR10, "cifar-10-batches-py"
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    shape = (3, 32, 32)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # the values of Cohen et al.

    def arrays(self, train: bool) -> tuple[Tensor, Tensor]:
        official = self.kind(self.root, train=train, download=self.download)  # verifies checksums before it unpickles
        return torch.from_numpy(official.data).permute(0, 3, 1, 2).contiguous(), torch.as_tensor(official.targets)

    def fault(self) -> str:
        root = Path(self.root)
        if not self.base.is_dir():
            if (root / self.kind.filename).is_file():
                return f"unpack {self.kind.filename} there"
            if (root / "cifar-10-batches-bin").is_dir():
                return "the binary version is there; the Python version is needed"
            return ""
        if any(self.base.glob("*.bin")):
            return "its files are those of the binary version; the Python version is needed"
        sums = [*self.kind.train_list, *self.kind.test_list, (self.kind.meta["filename"], self.kind.meta["md5"])]
        for name, md5 in sums:
            path = self.base / name
            if not path.is_file():
                return f"no {name}"
            if not check_integrity(str(path), md5):
                page = is_web_page(path.read_bytes()[:512])
                return f"{name} is a web page; the download failed" if page else f"{name} is not the published file"
        return ""
