"""Measurements of diabetes patients that ship with scikit-learn, and the progression of their disease."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes  # type: ignore[import-untyped]

from experiments.data.base import Images, TargetDataset

TRAINING = 342  # rows to train on; the other 100 of the 442 rows are the test set
SPLIT_SEED = 0  # never change it: it defines the meaning of a test row's index
# Age, sex, body mass index, blood pressure and six blood values, over the training rows, to four digits.
MEAN = (48.18, 1.459, 26.41, 94.55, 189.0, 115.6, 49.54, 4.091, 4.644, 91.13)
STD = (13.0, 0.4983, 4.552, 14.14, 33.73, 29.48, 12.79, 1.312, 0.5208, 11.75)


class Diabetes(TargetDataset):
    """442 patients with 10 measurements, to predict the progression of the disease a year later (Efron et al. 2004).

    A measurement is in standard deviations from its mean, over the training rows: (10,), float32. `MEAN` and `STD` are
    in the units of the source, such as years and kg / m^2, so STD turns a change back into them. Sex is one of the ten.
    The target is a score from 25 to 346: (1,), float32. The data has no official split. This one was drawn once and is
    fixed.
    """

    units = "standard deviations"
    shape = (len(MEAN),)

    def __init__(self) -> None:
        rows, targets = load_diabetes(return_X_y=True, scaled=False)
        order = np.random.default_rng(SPLIT_SEED).permutation(len(targets))
        inputs = torch.from_numpy((rows[order] - MEAN) / STD).to(torch.float32)
        scores = torch.from_numpy(targets[order]).to(torch.float32)[:, None]
        self._training = Images(inputs[:TRAINING], scores[:TRAINING])
        self._testing = Images(inputs[TRAINING:], scores[TRAINING:])

    def indices(self) -> list[int]:
        return list(range(len(self._testing)))

    def training(self) -> Images:
        return self._training

    def testing(self) -> Images:
        return self._testing
