"""The base function f, frozen: a certificate is about one fixed function of one input."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from smoothing.arithmetic import ONE_THREAD, fixed_arithmetic
from smoothing.arithmetic import Precision as Precision
from smoothing.errors import BaseFunctionError, SettingError
from smoothing.fast_copy import Fast, fast_copy, snapshot
from smoothing.network_parts import NetworkParts
from smoothing.outputs import SMALLER, as_numbers
from smoothing.user_code import is_out_of_memory, shown

CHECKED = 64  # rows on which the fast copy is compared with the network
ROUGH_UNIT = 2**-10  # relative unit in the last digit if f computes with numbers of 8 to 11 bits


class FrozenFunction:
    """A frozen copy of a base function: in eval mode, without gradients, at a given precision.

    A network is copied on construction. Later changes of the original (training, other weights or attributes) do not
    affect the copy. To certify the changed network, make a new object. The original keeps its mode and its gradients. A
    network that cannot be copied, and any other callable, is used directly, so its changes between certificates take
    effect.

    A network is evaluated as a second, faster copy. Batch normalisation is folded into the preceding layers, memory is
    channels-last, and at bfloat16 the layers' weights are bfloat16. Each of these is omitted if it changes outputs of
    the first batch by more than rounding. Later batches are compared too (`Probe`). The certificate is about the second
    copy (`arithmetic`).

    Args:
        f: an `nn.Module` or any callable, (b, *input shape) -> (b, *output shape). Row i must be a function of input i
            only. Outputs of shape (b,) are read as (b, 1), booleans as 0 and 1, integers as float64.
        precision: arithmetic of f: "float32", "tf32" (CUDA matrix products and convolutions) or "bfloat16" (autocast,
            about twice as fast if the processor supports it). It is part of what is certified.
        compiled: compile f with `torch.compile`, on CUDA with CUDA graphs. Compilation takes a minute. It pays in long
            runs of networks with many small layers. It is part of what is certified.

    Attributes:
        f: the first copy, for gradients. It moves to the device of the inputs.

    Threads may share it. While the fast copy is made, at the first batch, no other thread may run networks of its own.

    Raises:
        SettingError: precision is unknown.
        BaseFunctionError: f has lazy layers without weights. When called: f raises, it does not return a tensor with
            one output per row, it contains a batch normalisation without running statistics, or it cannot be copied
            and is in training mode.

    Examples:
        >>> network = nn.Linear(3, 2)
        >>> f = FrozenFunction(network)
        >>> outputs = f(torch.zeros(4, 3))
        >>> outputs.shape, outputs.requires_grad, network.training
        (torch.Size([4, 2]), False, True)
        >>> FrozenFunction(nn.BatchNorm1d(3, track_running_stats=False))(torch.zeros(4, 3))
        Traceback (most recent call last):
            ...
        smoothing.errors.BaseFunctionError: base function: BatchNorm1d normalises by its batch; ...
    """

    def __init__(self, f: Callable[[Tensor], Tensor], precision: Precision = "float32", compiled: bool = False) -> None:
        if precision not in ("float32", "tf32", "bfloat16"):
            raise SettingError(f"precision: expected float32, tf32 or bfloat16, got {precision}")
        self.precision, self.compiled = precision, compiled
        self.f: Callable[[Tensor], Any] = f
        self.not_copied = ""  # why f is used directly
        if isinstance(f, nn.Module):
            self.f, self.not_copied = snapshot(f)
        self._parts = NetworkParts(self.f) if isinstance(self.f, nn.Module) else None
        self._defaults = torch.get_default_dtype(), torch.get_default_device()  # when f was made
        self._fast = Fast(self.f)
        self._made_from: list[tuple[int, int]] | None = None
        self._settled = False
        self._rough = precision != "float32"
        self._output_shapes: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __call__(self, batch: Tensor) -> Tensor:
        """Outputs of a batch: (b, *input shape) -> (b, *output shape), float32 or float64, in new memory.

        f is given a copy of the batch, so it may work in place.
        """
        with ONE_THREAD:
            if self._parts is not None:
                self._parts.look()
                self._require_frozen(self._parts)
                self._make(batch, self._parts)
            with self._at(batch.device, self.precision), shown("base function", given=tuple(batch.shape)):
                outputs = self._answer(batch)
            numbers = as_numbers(outputs, batch)
            self._rough |= outputs.dtype in SMALLER
            self._require_one_shape(batch, numbers)
            return numbers

    @property
    def is_fast(self) -> bool:
        """Whether a network is evaluated as a second, faster copy."""
        return self._fast.call is not self.f

    def as_given(self, batch: Tensor) -> Tensor:
        """Outputs of the first copy, (b, *output shape), to compare with those of the second; after a call."""
        with ONE_THREAD, self._at(batch.device, self.precision), shown("base function"):
            return as_numbers(self.f(batch.clone(memory_format=torch.contiguous_format)), batch)

    def arithmetic(self) -> dict[str, Any]:
        """How f is computed, known after the first call. Certificates are about the weights and this arithmetic."""
        return {
            "precision": self.precision,
            "folded_batch_norms": self._fast.folded_batch_norms,
            "memory_format": self._fast.memory_format,
            "compiled": self._fast.compiled,
        }

    def uncompiled(self) -> "FrozenFunction":
        """This function, or if it is compiled, a copy that is not."""
        return FrozenFunction(self.f, self.precision) if self.compiled else self

    def tensors(self) -> list[Tensor]:
        """The parameters and buffers of f; none if it is not a network."""
        if self._parts is None:
            return []
        with ONE_THREAD:
            self._parts.look()
            return self._parts.tensors

    def begin(self) -> None:
        """A run begins. Forget what was found earlier, because f may have changed since."""
        self._output_shapes.clear()
        if self._parts is not None:
            self._parts.walk()

    def settle(self, batch: Tensor) -> None:
        """Choose the fast copy once, with a typical batch: of the size of all batches, with different rows."""
        if not self._settled:
            self._made_from = None
            if self._parts is not None:
                self._make(batch, self._parts)
            self._settled = True

    def unit(self, dtype: torch.dtype) -> float:
        """The relative unit in the last digit of outputs of this dtype: the size of rounding errors."""
        return ROUGH_UNIT if self._rough else torch.finfo(dtype).eps

    def _at(self, device: torch.device, precision: Precision) -> AbstractContextManager[None]:
        return fixed_arithmetic(device, precision, *self._defaults)

    def _answer(self, batch: Tensor) -> Any:
        rows = batch.clone(memory_format=torch.contiguous_format)
        try:
            return self._fast.call(rows)
        except Exception as error:
            if self._fast.call is self.f or is_out_of_memory(error):
                raise
        outputs = self.f(batch.clone(memory_format=torch.contiguous_format))  # its own error is the clearest
        self._fast = Fast(self.f)
        return outputs

    def _require_frozen(self, parts: NetworkParts) -> None:
        if not any(_in_training(m) or _without_statistics(m) for m in parts.modules):
            return
        assert isinstance(self.f, nn.Module)
        for name, module in self.f.named_modules():
            where = f"base function: {name or type(module).__name__}"
            if _in_training(module):
                why = (
                    f" (it is used directly, because it cannot be copied: {self.not_copied})" if self.not_copied else ""
                )
                raise BaseFunctionError(f"{where} is in training mode; call .eval() before certifying{why}")
        require_statistics(self.f)

    def _require_one_shape(self, batch: Tensor, outputs: Tensor) -> None:
        shape = self._output_shapes.setdefault(tuple(batch.shape[1:]), tuple(outputs.shape[1:]))
        if shape != outputs.shape[1:]:
            raise BaseFunctionError(
                f"base function: expected outputs of one shape for inputs {tuple(batch.shape[1:])}, got {shape} "
                f"and then {tuple(outputs.shape[1:])}; an output's shape may depend only on its own input's shape"
            )

    def _make(self, batch: Tensor, parts: NetworkParts) -> None:
        """Make the fast copy, and make it again if the weights or the device have changed since."""
        if not isinstance(self.f, nn.Module) or self.not_copied:
            return
        tensors = parts.tensors
        if tensors and tensors[0].device != batch.device and len({t.device for t in tensors}) == 1:
            self.f.to(batch.device)
            parts.look()
        if self._made_from is not None and (_versions(parts) == self._made_from or self._fast.call is self.f):
            return
        rows = batch if self.compiled else batch[:CHECKED]
        with torch.inference_mode(False), shown("base function", given=tuple(batch.shape)):
            at = partial(self._at, batch.device)
            self._fast = fast_copy(self.f, rows, self.precision, self.compiled, at)
        parts.look()
        self._made_from = _versions(parts)
        self._rough |= any(t.dtype in SMALLER for t in parts.tensors)


def _versions(parts: NetworkParts) -> list[tuple[int, int]]:
    """Where the network's numbers are and how often they were changed there."""
    return [(t.data_ptr(), t._version) for t in parts.tensors if not t.is_inference()]


def _in_training(module: nn.Module) -> bool:
    return bool(getattr(module, "training", False))


def require_statistics(f: nn.Module) -> None:
    """Raises BaseFunctionError if the network has a batch normalisation without running statistics."""
    for name, module in f.named_modules():
        if _without_statistics(module):
            where = f"base function: {name or type(module).__name__}"
            raise BaseFunctionError(f"{where} normalises by its batch; use track_running_stats=True")


def _without_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is None
