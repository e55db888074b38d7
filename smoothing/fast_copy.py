"""A network's frozen copy, and a faster one of that: each is used only where it is the same function."""

import copy
import functools
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from smoothing.agreement import alike
from smoothing.arithmetic import Precision
from smoothing.errors import BaseFunctionError
from smoothing.folding import folded

LARGEST = 1e-3  # of an output's largest number: how far a copy may move it in any case
SPREAD = 0.01  # of how far outputs lie apart: how far it may move them
ROUNDED = 1024  # units in the last digit, on top of that
ROUGHLY = 0.25  # the first, at a lower precision, where as many digits are lost on both sides


@dataclass(frozen=True)
class Fast:
    """What a network is computed by, and how it was made."""

    call: Callable[[Tensor], Any]
    folded_batch_norms: int = 0
    memory_format: str = "as given"
    compiled: bool = False


def snapshot(f: nn.Module) -> tuple[nn.Module, str]:
    """A copy of a network, in eval mode and without gradients, and why there is none (then it is the network itself).

    Not copied are: what `copy.deepcopy` refuses, such as locks and open files; and a network with functions, such as
    forward hooks, that hold on to parts of the network itself, since those of a copy would work on the original.

    Raises:
        BaseFunctionError: the network has no weights yet (lazy layers).
    """
    if any(is_lazy(tensor) for tensor in (*f.parameters(), *f.buffers())):
        raise BaseFunctionError("base function: it has lazy layers without weights; call it once before")
    memo: dict[int, Any] = {}
    for module in f.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()  # deepcopy refuses it; old weight_norm keeps one
    try:
        with torch.inference_mode(False), torch.no_grad():
            copied = copy.deepcopy(f, memo)
    except Exception as error:  # whatever a member's own code raises
        return f, f"{type(error).__name__}: {error}"
    if _tied(memo):
        return f, "a function that it holds, such as a hook, refers to the network itself"
    try:
        copied.eval()
    except Exception:  # exported programs have no such thing
        for module in copied.modules():
            module.training = False
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return copied, ""


def _tied(memo: dict[int, Any]) -> bool:
    """Whether functions among what was copied hold on to something that was copied: deepcopy leaves functions alone."""
    seen: set[int] = set()
    open_ends = [held for made in list(memo.values()) for held in _functions_in(made)]
    while open_ends:
        thing = open_ends.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if id(thing) in memo and memo[id(thing)] is not thing:
            return True
        open_ends += _held_by(thing)
    return False


def _functions_in(made: Any) -> Iterator[Any]:
    held = made.values() if isinstance(made, dict) else made if isinstance(made, list | tuple | set) else ()
    yield from (value for value in held if isinstance(value, types.FunctionType | functools.partial | tuple))


def _held_by(thing: Any) -> list[Any]:
    """What a function holds on to, or a collection that it does."""
    if isinstance(thing, types.FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell)]
        return [*cells, *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    if isinstance(thing, types.MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, functools.partial):
        return [thing.func]
    if isinstance(thing, dict):
        return list(thing.values())
    return list(thing) if isinstance(thing, list | tuple | set) else []


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def fast_copy(
    f: nn.Module,
    batch: Tensor,
    precision: Precision,
    compiled: bool,
    at: Callable[[Precision], AbstractContextManager[None]],
) -> Fast:
    """The fastest of some copies of a network that answers as the network does; the network itself where none does.

    Each is compared twice: as laid out, in float32, where rounding hides little; and finished, at its own precision.

    Args:
        f: in eval mode.
        batch: to compare on, as will come, (b, *input shape).
        precision: of f.
        compiled: let `torch.compile` make kernels of it.
        at: sets the arithmetic of a precision.
    """

    def evaluated(call: Callable[[Tensor], Any], precision: Precision) -> Any:
        with at(precision):
            return call(batch.clone())

    exact, expected = evaluated(f, "float32"), evaluated(f, precision)
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
        except Exception:  # whatever a network's own code raises where it is not as its author knows it
            continue
    return Fast(f)


def _folded(f: nn.Module) -> Fast:
    copied, count = folded(f)
    return Fast(copied.to(memory_format=torch.channels_last), count, "channels_last")


def _unfolded(f: nn.Module) -> Fast:
    return Fast(copy.deepcopy(f).to(memory_format=torch.channels_last), 0, "channels_last")


def _folded_as_given(f: nn.Module) -> Fast:
    copied, count = folded(f)
    return Fast(copied, count)


def _finished(fast: Fast, batch: Tensor, precision: Precision, compiled: bool) -> Fast:
    """The last steps: weights in bfloat16, and kernels made by torch.compile."""
    network = cast(nn.Module, fast.call)
    if precision == "bfloat16":
        for module in network.modules():
            if isinstance(module, _ConvNd | nn.Linear):
                module.to(torch.bfloat16)  # autocast would do so again in every batch
    if not compiled:
        return fast
    made = torch.compile(network, mode="reduce-overhead" if batch.is_cuda else "default", dynamic=False)
    return Fast(cast(Callable[[Tensor], Any], made), fast.folded_batch_norms, fast.memory_format, True)


def _same(expected: Any, found: Any, largest: float) -> bool:
    """Whether a copy answers as the network does, to rounding: outputs at the same inputs, (b, *output shape)."""
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor) or expected.shape != found.shape:
        return False
    if not expected.is_floating_point() or not found.is_floating_point():
        return expected.dtype == found.dtype and torch.equal(expected, found)
    if expected.dim() == 0 or expected.numel() == 0:
        return False
    varied = largest == LARGEST and bool((expected != expected[:1]).any())
    rounding = ROUNDED * torch.finfo(expected.dtype).eps if varied else largest
    return alike(found, expected, expected, largest, SPREAD, rounding)
