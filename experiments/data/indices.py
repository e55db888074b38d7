"""The indices of a data set, checked: an index seeds its example's noise."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from experiments.data.base import Dataset
from smoothing import SettingError


def indices_of(dataset: Dataset) -> list[int]:
    """The data set's indices, as a list. Raises SettingError unless they are different whole numbers of at least 0."""
    found, who = dataset.indices(), f"dataset: {type(dataset).__name__}.indices()"
    if not isinstance(found, Sequence | np.ndarray) or isinstance(found, str | bytes):
        raise SettingError(f"{who}: expected a list of whole numbers, got {type(found).__name__}")
    for index in found:
        if not is_whole(index) or index < 0:
            raise SettingError(f"{who}: expected whole numbers of at least 0, got {index!r}")
    index, times = max(Counter(map(int, found)).items(), key=lambda item: item[1], default=(0, 1))
    if times > 1:
        raise SettingError(f"{who}: expected different numbers, got {index} {times} times")
    return list(map(int, found))


def is_whole(number: object) -> bool:
    """Whether a number is an int of Python or NumPy."""
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
