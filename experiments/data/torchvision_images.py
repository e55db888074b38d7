"""Data sets that torchvision reads into memory."""

from typing import Any, ClassVar

import torch

from experiments.data.base import Images, LabelledDataset, MissingDataError, every


class TorchvisionImages(LabelledDataset):
    """A data set of torchvision's, in the layout that it keeps it in.

    Args:
        root: folder that holds `folder`.
        download: fetch it if it is not there.
        step: certify every so-manieth test image; every 20th in Cohen et al.

    Attributes:
        kind: torchvision's class.
        folder: its name under `root`.
        names: of the classes.

    Raises:
        MissingDataError: the images are not under `root`, not whole, or could not be fetched.
    """

    kind: ClassVar[Any]
    folder: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    def __init__(self, root: str = "data", download: bool = False, step: int = 20) -> None:
        self.root, self.download = root, download
        self.classes = list(self.names)
        self._testing = self._read(train=False)
        self._indices = every(step, len(self._testing))

    def indices(self) -> list[int]:
        return self._indices

    def training(self) -> Images:
        return self._read(train=True)

    def testing(self) -> Images:
        return self._testing

    def _read(self, train: bool) -> Images:
        try:
            official = self.kind(self.root, train=train, download=self.download)
        except (RuntimeError, OSError, EOFError) as error:
            failed = f" (the download failed: {str(error).splitlines()[0]})" if self.download and str(error) else ""
            raise MissingDataError(
                f"dataset.root: no {self.kind.__name__}, or a damaged one, in '{self.root}/{self.folder}'{failed}. Set "
                f"dataset.root=<folder that holds {self.folder}>, fetch it with dataset.download=true, or try the "
                "embedded digits: dataset=digits"
            ) from error
        pixels = torch.as_tensor(official.data)
        pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
        return Images(pixels, torch.as_tensor(official.targets, dtype=torch.int64))
