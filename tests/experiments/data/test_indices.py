"""Indices of a user's data set: each is a whole number of at least 0, and none is there twice."""

import numpy as np
import pytest
import torch

from experiments.data import Dataset
from experiments.data.indices import indices_of
from experiments.runs.examples import example_rows
from smoothing import SettingError


class Own(Dataset):
    def __init__(self, indices):
        self.found = indices

    def indices(self):
        return self.found

    def __getitem__(self, index):
        return torch.zeros(1)


@pytest.mark.parametrize("indices", [[0, 2, 5], range(3), (4, 1), np.array([3, 7]), [np.int64(2)], []])
def test_lists_of_whole_numbers(indices):
    found = indices_of(Own(indices))
    assert found == list(indices)
    assert all(type(index) is int for index in found)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, -1], "at least 0, got -1"),
        ([0.5], "a whole number, got 0.5"),
        (["a"], "a number, got '?a"),
        ([True], "a number, got True"),
        ([3, 1, 3], "different numbers, got 3 twice"),
        ((k for k in range(2)), "a list of whole numbers, got generator"),
        ("012", "a list of whole numbers, got str"),
        (None, "a list of whole numbers, got NoneType"),
    ],
)
def test_what_is_refused(indices, message):
    with pytest.raises(SettingError, match=rf"dataset: Own\.indices\(\): expected {message}"):
        indices_of(Own(indices))


def test_a_data_set_without_labels_describes_nothing():
    assert example_rows(Own([0]), [0]) == []
