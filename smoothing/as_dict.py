"""Certificates as plain Python values for strict JSON."""

import dataclasses
from math import isfinite
from typing import Any

import numpy as np
from torch import Tensor


class AsDict:
    """A dataclass whose fields can be written as JSON: `json.dumps(c.as_dict(), allow_nan=False)`.

    Examples:
        >>> @dataclasses.dataclass
        ... class Result(AsDict):
        ...     radius: float
        ...     center: Tensor
        >>> Result(float("inf"), Tensor([0.5, 1.0])).as_dict()
        {'radius': 'inf', 'center': [0.5, 1.0]}
    """

    def as_dict(self) -> dict[str, Any]:
        """The fields by name: numbers, strings and, for tensors and arrays, nested lists.

        Infinities and NaN, which JSON does not have, become "inf", "-inf" and "nan", which `float` reads. They do not
        become null, because a median would skip null, and it must not skip an example that is not certified.
        """
        return {f.name: _as_python(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]


def _as_python(value: Any) -> Any:
    if isinstance(value, Tensor | np.ndarray):
        return _as_python(value.tolist())
    if isinstance(value, np.generic):
        return _as_python(value.item())
    if isinstance(value, list | tuple):
        return [_as_python(each) for each in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value
