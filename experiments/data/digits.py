"""Handwritten digits that ship with scikit-learn. No download is needed."""

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.data.base import PIXELS, Images, LabelledDataset, MissingDataError

FILE = "sklearn/datasets/data/digits.csv.gz"  # 64 pixels and the label in each line
TRAINING = 1297  # training images; the other 500 of the 1797 images are the test set
SPLIT_SEED = 0  # never change it: it defines the meaning of a test image's index


class Digits(LabelledDataset):
    """1797 digits, 8 x 8, gray, pixel values k/16 (the test part of UCI's optical recognition of handwritten digits).

    The data has no official split. The split into training and test images here was drawn once and is fixed.
    """

    units = PIXELS
    levels = 16
    shape = (1, 8, 8)
    mean, std = (0.3054,), (0.3759,)  # over the pixels of the training images

    def __init__(self) -> None:
        read = _digits()
        rows = torch.from_numpy(read[np.random.default_rng(SPLIT_SEED).permutation(len(read))])
        pixels, labels = rows[:, :-1].to(torch.uint8).reshape(-1, *self.shape), rows[:, -1].contiguous()
        self.classes = [str(digit) for digit in range(10)]
        self._training = Images(pixels[:TRAINING], labels[:TRAINING])
        self._testing = Images(pixels[TRAINING:], labels[TRAINING:])

    def indices(self) -> list[int]:
        return list(range(len(self._testing)))

    def training(self) -> Images:
        return self._training

    def testing(self) -> Images:
        return self._testing


@cache
def _digits() -> NDArray[np.int64]:
    """Pixels and label of each digit, (1797, 65), read once. `sklearn.datasets.load_digits` would import all of SciPy.

    Raises MissingDataError if scikit-learn is not installed.
    """
    try:
        file = distribution("scikit-learn").locate_file(FILE)
    except PackageNotFoundError as error:
        raise MissingDataError("dataset: the digits ship with scikit-learn; pip install scikit-learn") from error
    return np.loadtxt(str(file), dtype=np.int64, delimiter=",")
