"""The numbers that a model holds outside of its parameters: weights in lists, dictionaries, NumPy arrays or objects."""

import random
from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DEEPEST = 8  # attributes of attributes, at most
NUMBER = int | float | np.number
MANY = 8  # numbers in a list that are taken for weights; fewer are settings
DRAWN = (torch.Generator, np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)
NONE_INSIDE = (
    *DRAWN,
    set,
    frozenset,
    str,
    bytes,
    int,
    float,
    complex,
    type,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    ModuleType,
)
REGISTERED = ("_parameters", "_buffers", "_modules")  # of a module, with the names of `state_dict`


def held_numbers(model: nn.Module) -> Iterator[tuple[str, Tensor | np.ndarray]]:
    """Names and values of the tensors and arrays in the attributes of a model's modules, in a fixed order.

    Registered parameters and buffers of the model are left out, and tensors that are attributes of its modules. A
    module that is not registered, such as one in a list, is searched like any object. A compiled object is searched
    through what pickle would store of it. Single numbers, and numbers in closures and global variables, are not found.
    A run notices a change of these by what the model computes (`experiments/certifying/computed.py`).
    """
    known: dict[int, Any] = {id(module): module for module in model.modules()}  # kept alive, so no id is used again
    for place, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in REGISTERED and not isinstance(value, Tensor):
                yield from _inside(f"{place}.{name}".lstrip("."), value, known, 1)


def plain_tensors(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The tensors with numbers that a tensor consists of: itself, or the parts of a tensor subclass such as torchao's.

    It has none on the meta device, where also the tensors lie that describe the shapes in an exported program.
    """
    if hasattr(value, "__tensor_flatten__"):
        for part in value.__tensor_flatten__()[0]:
            yield from plain_tensors(f"{name}.{part}", getattr(value, part))
    elif value.layout != torch.strided or value.untyped_storage().device.type != "meta":
        yield name, value


def _inside(name: str, value: Any, known: dict[int, Any], depth: int) -> Iterator[tuple[str, Tensor | np.ndarray]]:
    if isinstance(value, Tensor):
        yield from plain_tensors(name, value)
        return
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield name, value
        return
    if value is None or isinstance(value, NONE_INSIDE) or id(value) in known or depth > DEEPEST:
        return
    known[id(value)] = value
    if isinstance(value, list | tuple) and len(value) >= MANY and all(isinstance(each, NUMBER) for each in value):
        yield name, np.array([str(each) for each in value])  # of any size and type
        return
    for k, (key, each) in enumerate(_parts(value)):
        own = key if isinstance(key, str | int) else k  # another key's text may contain an address
        yield from _inside(f"{name}.{own}", each, known, depth + 1)


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """The names and values of what an object consists of."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if getattr(value, "__dict__", None):
        return vars(value).items()
    try:
        reduced = value.__reduce_ex__(2)  # the arguments and the state of a compiled object, such as a decision tree
    except Exception:
        return ()
    return enumerate(reduced[1:3]) if isinstance(reduced, tuple) else ()
