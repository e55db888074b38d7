"""A frozen copy of a network, and a faster copy of that. The fast copy is used only if it is the same function."""

import copy
import functools
import random
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from smoothing.agreement import alike
from smoothing.arithmetic import Precision
from smoothing.errors import BaseFunctionError
from smoothing.folding import folded

# How far outputs of the copy may differ from the network's; see `agreement.alike`.
LARGEST = 1e-3  # at most, relative to a row's largest number
SPREAD = 0.01  # as a share of the range of outputs
ROUNDED = 1024  # units in the last digit, in addition
ROUGHLY = 0.25  # LARGEST at a lower precision, where both sides lose digits
MOST = 0.95  # share of rows that must agree in nearly all numbers; half at a lower precision, where more may jump


@dataclass(frozen=True)
class Fast:
    """The callable that evaluates a network, and how it was made."""

    call: Callable[[Tensor], Any]
    folded_batch_norms: int = 0
    memory_format: str = "as given"
    compiled: bool = False


def snapshot(f: nn.Module) -> tuple[nn.Module, str]:
    """A copy of a network, in eval mode and without gradients, and an empty reason.

    If the network cannot be copied, it returns the network itself and the reason. That is the case for what
    `copy.deepcopy` refuses, such as locks and open files. It is also the case for a network with functions, such as
    forward hooks, or weak references to parts of the network: those of a copy would act on the original.

    Raises:
        BaseFunctionError: the network has lazy layers without weights.

    Examples:
        >>> copied, reason = snapshot(nn.Linear(3, 2))
        >>> copied.training, copied.weight.requires_grad, reason
        (False, False, '')
    """
    if any(is_lazy(tensor) for tensor in (*f.parameters(), *f.buffers())):
        raise BaseFunctionError("base function: it has lazy layers without weights; call it once on a batch first")
    memo = computed_members(f)
    try:
        with torch.inference_mode(False), torch.no_grad():
            copied = copy.deepcopy(f, memo)
    except Exception as error:  # any error that a member's own code raises
        return f, f"{type(error).__name__}: {error}"
    if _tied(memo):
        return f, "one of its functions, such as a hook, or a weak reference refers to the network itself"
    try:
        copied.eval()
    except Exception:  # exported programs refuse it
        for module in copied.modules():
            module.training = False
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return copied, ""


def computed_members(f: nn.Module) -> dict[int, Any]:
    """A memo for `copy.deepcopy`, with copies of the tensors with a gradient that modules keep, which it refuses.

    The old weight_norm and spectral_norm keep one, and compute it again in each forward pass.
    """
    held = [value for module in f.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return {id(value): value.detach().clone() for value in held if value.grad_fn is not None}


def _tied(memo: dict[int, Any]) -> bool:
    """Whether copied objects refer to an original by a function or a weak reference: deepcopy does not copy these."""
    seen: set[int] = set()
    copied = [made for key, made in memo.items() if key != id(memo)]  # there, deepcopy keeps the originals alive
    pending = [held for made in copied for held in _functions_in(made)]
    while pending:
        thing = pending.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if id(thing) in memo and memo[id(thing)] is not thing:
            return True
        pending += _held_by(thing)
    return False


def _functions_in(made: Any) -> Iterator[Any]:
    """What a copied collection holds that deepcopy does not copy: functions, weak references, and tuples of them."""
    if isinstance(made, weakref.WeakValueDictionary):  # its copy holds the originals
        yield made
    kinds = types.FunctionType | functools.partial | tuple | weakref.ReferenceType
    held = made.values() if isinstance(made, dict) else made if isinstance(made, list | tuple | set) else ()
    yield from (value for value in held if isinstance(value, kinds))


def _held_by(thing: Any) -> list[Any]:
    """The objects that a function, or a collection, refers to."""
    if isinstance(thing, types.FunctionType):
        return [*closure_of(thing), *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    if isinstance(thing, types.MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, weakref.WeakMethod):
        return [getattr(thing(), "__self__", None)]
    if isinstance(thing, weakref.ReferenceType):
        return [thing()]
    if isinstance(thing, dict | weakref.WeakValueDictionary):
        return list(thing.values())
    return list(thing) if isinstance(thing, list | tuple | set) else []


def closure_of(f: types.FunctionType) -> list[Any]:
    """The values in a function's closure; None for an empty cell, of a variable that is not assigned yet."""
    return [_content(cell) for cell in f.__closure__ or ()]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def fast_copy(
    f: nn.Module,
    batch: Tensor,
    precision: Precision,
    compiled: bool,
    at: Callable[[Precision], AbstractContextManager[None]],
) -> Fast:
    """The first of several fast copies whose outputs agree with the network's; the network itself if none does.

    Each copy is compared twice: first in float32, where rounding hides little, then finished, at its own precision.
    A network that draws random numbers has no fast copy, because a trace keeps what it drew.

    Args:
        f: the network, in eval mode.
        batch: a typical batch to compare on, (b, *input shape).
        precision: of f.
        compiled: whether to compile the copy with `torch.compile`.
        at: context manager that sets the arithmetic of a precision.
    """

    def evaluated(call: Callable[[Tensor], Any], precision: Precision) -> Any:
        with at(precision):
            return call(batch.clone())

    before = _random_states(batch.device)
    exact, expected = evaluated(f, "float32"), evaluated(f, precision)
    if _random_states(batch.device) != before:
        return Fast(f)
    for layout in (_folded, _unfolded, _folded_as_given):
        try:
            fast = layout(f)
            if not _same(exact, evaluated(fast.call, "float32"), LARGEST):
                continue
            fast = _finished(fast, batch, precision, compiled)
            if _same(expected, evaluated(fast.call, precision), LARGEST if precision == "float32" else ROUGHLY):
                return fast
        except torch.OutOfMemoryError:
            raise
        except Exception:  # any error that a network's own code raises in this layout
            continue
    return Fast(f)


def _random_states(device: torch.device) -> list[object]:
    """The states of the global random generators of Python, NumPy and torch."""
    states = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
    return [random.getstate(), str(np.random.get_state(legacy=False)), *(state.tolist() for state in states)]


def _folded(f: nn.Module) -> Fast:
    copied, count = folded(f)
    return Fast(copied.to(memory_format=torch.channels_last), count, "channels_last")


def _unfolded(f: nn.Module) -> Fast:
    return Fast(copy.deepcopy(f).to(memory_format=torch.channels_last), 0, "channels_last")


def _folded_as_given(f: nn.Module) -> Fast:
    copied, count = folded(f)
    return Fast(copied, count)


def _finished(fast: Fast, batch: Tensor, precision: Precision, compiled: bool) -> Fast:
    """The copy after its last steps: weights in bfloat16 and `torch.compile`."""
    network = cast(nn.Module, fast.call)
    if precision == "bfloat16":
        for module in network.modules():
            if isinstance(module, _ConvNd | nn.Linear):
                module.to(torch.bfloat16)  # once; autocast would do so in every batch
    if not compiled:
        return fast
    made = torch.compile(network, mode="reduce-overhead" if batch.is_cuda else "default", dynamic=False)
    return Fast(cast(Callable[[Tensor], Any], made), fast.folded_batch_norms, fast.memory_format, True)


def _same(expected: Any, found: Any, largest: float) -> bool:
    """Whether a copy's outputs equal the network's up to rounding: both (b, *output shape), at the same inputs."""
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor) or expected.shape != found.shape:
        return False
    if not expected.is_floating_point() or not found.is_floating_point():
        return expected.dtype == found.dtype and torch.equal(expected, found)
    if expected.dim() == 0 or expected.numel() == 0:
        return False
    varied = largest == LARGEST and bool((expected != expected[:1]).any())
    rounding = ROUNDED * torch.finfo(expected.dtype).eps if varied else largest
    return alike(found, expected, expected, largest, SPREAD, rounding, MOST if largest == LARGEST else 0.5)
