"""The numbers that a model holds outside of its parameters: weights in lists, dictionaries, NumPy arrays or objects."""

from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn

DEEPEST = 8  # attributes of attributes, at most
NONE_INSIDE = (str, bytes, int, float, complex, type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)
REGISTERED = ("_parameters", "_buffers", "_modules")  # of a module, with the names of `state_dict`


def held_numbers(model: nn.Module) -> Iterator[tuple[str, Tensor | np.ndarray]]:
    """Names and values of the tensors and arrays in the attributes of a model's modules, in a fixed order.

    Registered parameters and buffers of the model are left out, and tensors that are attributes of its modules. A
    module that is not registered, as in a list, is gone through like any object. Not found are numbers in closures and
    in global variables.
    """
    known: set[int] = {id(module) for module in model.modules()}
    for place, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in REGISTERED and not isinstance(value, Tensor):
                yield from _inside(f"{place}.{name}".lstrip("."), value, known, 1)


def _inside(name: str, value: Any, known: set[int], depth: int) -> Iterator[tuple[str, Tensor | np.ndarray]]:
    if isinstance(value, Tensor) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        yield name, value
        return
    if value is None or isinstance(value, NONE_INSIDE) or id(value) in known or depth > DEEPEST:
        return
    known.add(id(value))
    items: Any = getattr(value, "__dict__", {}).items()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for k, (key, each) in enumerate(items):
        own = key if isinstance(key, str | int) else k  # another key's text may contain an address
        yield from _inside(f"{name}.{own}", each, known, depth + 1)
