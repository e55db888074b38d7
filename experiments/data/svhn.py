"""Street View House Numbers (SVHN), in torchvision's layout."""

from pathlib import Path

import torch
import torchvision

from experiments.data.base import PIXELS, Images, LabelledDataset, MissingDataError, every
from experiments.data.fingerprints import hash_of_images
from smoothing.user_code import first_line


class SVHN(LabelledDataset):
    """Photographs of house numbers, 32 x 32, RGB (Netzer et al. 2011): 73,257 training and 26,032 test images.

    Pixels are only divided by 255, as in Cohen et al. (2019, appendix J.1): mean 0, standard deviation 1.

    Args:
        root: folder that contains `test_32x32.mat` and, for training only, `train_32x32.mat`.
        download: whether to fetch missing files.
        step: certify every `step`-th test image. Cohen et al. use 1, the whole test set.

    Raises:
        MissingDataError: a file is missing, incomplete or could not be fetched. The message names the file.
    """

    units = PIXELS
    shape = (3, 32, 32)
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, root: str = "data/svhn", download: bool = False, step: int = 1) -> None:
        self.root, self.download = root, download
        self.classes = [*"0123456789"]
        self._testing = self._read("test")
        self._indices = every(step, len(self._testing))

    def indices(self) -> list[int]:
        return self._indices

    def training(self) -> Images:
        return self._read("train")

    def testing(self) -> Images:
        return self._testing

    def contents(self) -> str:
        """Hash of the test images and their labels."""
        return hash_of_images(self._testing)

    def _read(self, part: str) -> Images:
        file = Path(self.root) / f"{part}_32x32.mat"
        try:
            official = torchvision.datasets.SVHN(self.root, split=part, download=self.download)  # verifies checksums
            pixels, labels = torch.from_numpy(official.data).contiguous(), torch.from_numpy(official.labels)
            if pixels.shape != (len(labels), *self.shape):
                raise ValueError(f"{len(labels)} labels for images of shape {tuple(pixels.shape)}")
        except Exception as error:  # damaged files can raise any exception
            found = "not the published file" if file.is_file() else "no such file"
            failed = f"; the download failed: {first_line(error)}" if self.download else ""
            raise MissingDataError(
                f"dataset.root: '{file}': {found}{failed}. Fetch it with dataset.download=true, set dataset.root="
                "<folder of train_32x32.mat and test_32x32.mat>, or try the embedded digits: dataset=digits"
            ) from error
        return Images(pixels, labels.to(torch.int64))
