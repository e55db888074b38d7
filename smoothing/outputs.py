"""The outputs that a base function may return: one tensor of numbers, with row i for input i."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError

EXACT = (torch.float32, torch.float64)
LONG = (torch.int64, torch.uint64)
SMALLER = (torch.bfloat16, torch.float16)  # float32 represents all their numbers


def as_numbers(outputs: Any, batch: Tensor) -> Tensor:
    """A base function's outputs at a batch, (b, *output shape), in float32 or float64, in new memory.

    Accepted are tensors of floats, of integers (converted to float64) and of booleans (converted to 0 and 1). Integers
    of 2^53 and more, which float64 does not distinguish, are refused on a CPU and are NaN on a GPU. Shape (b,) is read
    as (b, 1), and a single number as the output of a single input.

    Args:
        outputs: the base function's return value.
        batch: its argument, (b, *input shape).

    Raises:
        BaseFunctionError: outputs is something else. The message says what was expected and what was returned.

    Examples:
        >>> as_numbers(torch.tensor([True, False]), batch=torch.zeros(2, 3))
        tensor([[1.],
                [0.]])
        >>> as_numbers(torch.zeros(3, 2), batch=torch.zeros(2, 3))
        Traceback (most recent call last):
            ...
        smoothing.errors.BaseFunctionError: base function: expected a tensor of 2 outputs, got shape (3, 2) ...
    """
    if not isinstance(outputs, Tensor):
        wanted = f"a tensor with one row for each of {len(batch)} inputs"
        raise BaseFunctionError(f"base function: expected {wanted}, got {not_tensor(outputs)}")
    fault = _fault(outputs, batch)
    if fault:
        raise BaseFunctionError(f"base function: expected a tensor of {len(batch)} outputs, got {fault}")
    if outputs.dim() == 0:
        outputs = outputs[None]
    if outputs.dim() == 1:
        outputs = outputs[:, None]
    if outputs.dtype in EXACT:
        return outputs.detach().clone()
    if outputs.dtype == torch.bool or outputs.is_floating_point():
        return outputs.to(torch.float32)  # exactly the same numbers
    numbers = outputs.to(torch.float64)
    if outputs.dtype not in LONG:
        return numbers
    known = numbers.abs() < 2**53
    if outputs.device.type != "cpu":
        return torch.where(known, numbers, torch.nan)  # outside of every ball; the host does not wait to refuse them
    if not bool(known.all()):
        raise BaseFunctionError(
            "base function: expected integers below 2^53, which float64 distinguishes, got larger ones; subtract an "
            "offset, or return their parts as several numbers"
        )
    return numbers


def _fault(outputs: Tensor, batch: Tensor) -> str:
    """What is wrong with a tensor of outputs, and how to fix it; empty if nothing is."""
    if outputs.is_nested:
        return "a nested tensor; give all outputs one shape"
    if outputs.is_quantized:
        return f"a quantized tensor ({outputs.dtype}); return its .dequantize()"
    if outputs.layout != torch.strided:
        return f"a tensor of layout {outputs.layout}; return its .to_dense()"
    shape = tuple(outputs.shape)
    if shape[:1] != (len(batch),) and not (shape == () and len(batch) == 1):
        return f"shape {shape} for inputs {tuple(batch.shape)}; the first dimension must be the batch's"
    if outputs.numel() == 0 and len(batch):
        return f"shape {shape}, which has no numbers"
    if outputs.is_complex():
        return f"complex numbers ({outputs.dtype}); return real ones, such as torch.view_as_real(outputs)"
    if outputs.device != batch.device:
        return f"one on {outputs.device} for inputs on {batch.device}; keep model, inputs and outputs on one device"
    return ""


def not_tensor(outputs: Any) -> str:
    """A return value that is not a tensor, in words, and how to return a tensor instead."""
    name = type(outputs).__name__
    if outputs is None:
        return "None; return the outputs"
    fields = [key for key in ("logits", "last_hidden_state", "sample", "out") if _has_tensor(outputs, key)]
    if fields:
        return f"{name}; wrap it so that it returns a tensor, such as its .{fields[0]}"
    if isinstance(outputs, dict):
        return f"{name} with {', '.join(map(str, outputs))}; wrap it so that it returns one of these tensors"
    if isinstance(outputs, tuple | list):
        return f"{name} of {len(outputs)}; wrap it so that it returns one tensor, such as the first"
    if isinstance(outputs, np.ndarray):
        return f"{name}; pass lambda x: torch.from_numpy(f(x.numpy())), where f is your function"
    return f"{name}; wrap it so that it returns a tensor"


def _has_tensor(outputs: Any, key: str) -> bool:
    found = outputs.get(key) if isinstance(outputs, dict) else getattr(outputs, key, None)
    return isinstance(found, Tensor)
