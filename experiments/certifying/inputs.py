"""The input of an example that is certified: the same each time that it is read, because a certificate is about one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.certifying.contents import hash_of
from experiments.data import Dataset
from experiments.training.base_function import input_of, tensor_of
from smoothing import SettingError
from smoothing.inputs import placed
from smoothing.network_parts import tensors_of

READ_AGAIN = 4  # of the examples, before anything is sampled: half of all random flips leave an image as it was
Listed = Mapping[int, str | None]


def require_fixed(dataset: Dataset, indices: Sequence[int]) -> None:
    """Raise SettingError if one of the first examples is another when it is read again."""
    for index in indices[:READ_AGAIN]:
        _require_listed(dataset, index, tensor_of(dataset, index), None)


def input_to_certify(dataset: Dataset, index: int, f: Any, device: torch.device, listed: Listed) -> Tensor:
    """An example as the input of f, (*input shape), on the device, with the dtype of f.

    Args:
        dataset: the data set.
        index: the example.
        f: the base function.
        device: where f is evaluated.
        listed: the hashes of the examples in examples.csv, by index. One without a hash is read twice.

    Raises:
        SettingError: the example is another than the listed one, or another when it is read again; or it is no input.
    """
    x = tensor_of(dataset, index)
    _require_listed(dataset, index, x, listed.get(index))
    return input_of(f, placed(x.to(device), tensors_of(f))[None])[0]


def _require_listed(dataset: Dataset, index: int, x: Tensor, listed: str | None) -> None:
    if hash_of(index, x) != (listed or hash_of(index, tensor_of(dataset, index))):
        raise SettingError(f"dataset: example {index} differs each time that it is read; leave out random augmentation")
