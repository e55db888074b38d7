"""Handwritten digits that ship with scikit-learn. No download is needed."""

from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from experiments.data.base import PIXELS, Images, LabelledDataset

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
        digits = _digits()
        order = np.random.default_rng(SPLIT_SEED).permutation(len(digits.target))
        pixels = torch.from_numpy(digits.images[order]).to(torch.uint8)[:, None]
        labels = torch.from_numpy(digits.target[order]).to(torch.int64)
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
def _digits() -> Any:
    """Images and labels, parsed once: that takes longer than all else that a configuration needs to be checked."""
    return load_digits()
