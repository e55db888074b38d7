"""Mosaics of handwritten digits, and the class of each pixel. No download is needed."""

import numpy as np
import torch
from torch import Tensor

from experiments.data.base import PIXELS, Images, TargetDataset
from experiments.data.digits import Digits

TILES = 2  # digits in each row and column of a mosaic
INK = 8  # a pixel of at least this many sixteenths belongs to the digit
ROUNDS = 8  # times that each training digit is in a mosaic, about
SEED = 0  # never change it: it defines the meaning of a test image's index


class DigitMosaics(TargetDataset):
    """2 x 2 digits of `Digits`, side by side: (1, 16, 16), gray, pixel values k/16; to segment by digit.

    The target is a label map (16, 16), int64: the digit where its pixel is at least half dark, else 10, the background.
    The 2592 training mosaics are of training digits. Each of the 500 test digits is in one of the 125 test mosaics.
    """

    units = PIXELS
    levels = Digits.levels
    shape = (1, TILES * Digits.shape[1], TILES * Digits.shape[2])

    def __init__(self) -> None:
        digits = Digits()
        self.classes = [*digits.classes, "background"]
        random = np.random.default_rng(SEED)
        self._testing = _mosaics(digits.testing(), random.permutation(len(digits.testing())))
        count = len(digits.training())
        order = np.concatenate([random.permutation(count)[: count - count % TILES**2] for _ in range(ROUNDS)])
        self._training = _mosaics(digits.training(), order)

    def indices(self) -> list[int]:
        return list(range(len(self._testing)))

    def training(self) -> Images:
        return self._training

    def testing(self) -> Images:
        return self._testing


def _mosaics(digits: Images, order: np.ndarray) -> Images:
    """Mosaics of the digits in this order, and their label maps: (n, 1, 16, 16) uint8 and (n, 16, 16) int64."""
    tiles = digits.pixels[order, 0]  # (4 n, 8, 8)
    labels = torch.where(tiles >= INK, digits.labels[order][:, None, None], len(Digits().classes))
    return Images(_side_by_side(tiles)[:, None], _side_by_side(labels))


def _side_by_side(tiles: Tensor) -> Tensor:
    """(4 n, h, w) -> (n, 2 h, 2 w)."""
    grid = tiles.unflatten(0, (-1, TILES, TILES)).transpose(2, 3)  # (n, row, h, column, w)
    return grid.flatten(3).flatten(1, 2)
