"""Certificates as plain Python values, which strict JSON can hold."""

import dataclasses
from math import isfinite
from typing import Any

import numpy as np
from torch import Tensor


class AsDict:
    """A dataclass whose fields can be written as JSON: `json.dumps(c.as_dict(), allow_nan=False)`."""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name: numbers, strings and, for tensors and arrays, nested lists.

        What JSON has no number for is the string "inf", "-inf" or "nan", which `float` reads. Null would be left out of
        a median, and what is not certified must not be.
        """
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value
