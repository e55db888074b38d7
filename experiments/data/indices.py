"""The indices of a data set, checked: an index seeds its example's noise."""

from collections.abc import Sequence

import numpy as np

from experiments.data.base import Dataset
from smoothing import SettingError
from smoothing.arguments import whole_number


def indices_of(dataset: Dataset) -> list[int]:
    """The data set's indices, as a list. Raises SettingError unless they are different whole numbers of at least 0."""
    found, who = dataset.indices(), f"dataset: {type(dataset).__name__}.indices()"
    if not isinstance(found, Sequence | np.ndarray) or isinstance(found, str | bytes):
        raise SettingError(f"{who}: expected a list of whole numbers, got {type(found).__name__}")
    indices, known = [whole_number(who, index) for index in found], set[int]()
    for index in indices:
        if index in known:
            raise SettingError(f"{who}: expected different numbers, got {index} twice")
        known.add(index)
    return indices
