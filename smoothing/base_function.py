"""The base function f, frozen: certificates are about one fixed function of one input."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from smoothing.errors import BaseFunctionError, SettingError
from smoothing.folding import folded

Precision = Literal["float32", "tf32", "bfloat16"]
PROBE = 8  # rows on which independence of the batch is checked
FOLDING_TOLERANCE = 1e-3  # of an output's largest number: how far folding may move it before it is not used


class FrozenFunction:
    """A base function in eval mode, without gradients, at a stated precision.

    A network is evaluated as a copy that is made for speed: batch normalisation folded into the layers before it,
    channels last in memory, at bfloat16 the layers' weights in bfloat16. The copy is what is certified (`arithmetic`).

    Args:
        f: an `nn.Module` or any callable, (b, *input shape) -> (b, *output shape), row i a function of input i alone.
        precision: arithmetic of f: "float32", "tf32" (CUDA matrix products and convolutions) or "bfloat16" (autocast,
            about twice as fast where the processor has it). It is part of what is certified.
        compiled: let `torch.compile` make kernels of it; on CUDA with CUDA graphs. Worth its minute of compilation in
            long runs of networks of many small layers. Part of what is certified, too.

    Raises:
        BaseFunctionError: f is an `nn.Module` that is in training mode when called, or holds a batch normalisation
            without running statistics (either makes f depend on the batch, which voids a certificate).
    """

    def __init__(self, f: Callable[[Tensor], Tensor], precision: Precision = "float32", compiled: bool = False) -> None:
        if precision not in ("float32", "tf32", "bfloat16"):
            raise SettingError(f"precision: expected float32, tf32 or bfloat16, got {precision}")
        self.f, self.precision, self.compiled = f, precision, compiled
        self._probed = False
        self._folded = 0
        self._made_from: tuple[Any, ...] | None = None
        self._copy: Callable[[Tensor], Tensor] = f
        if isinstance(f, nn.Module):
            f.eval().requires_grad_(False)

    def __call__(self, batch: Tensor) -> Tensor:
        """Outputs of a batch: (b, *input shape) -> (b, *output shape), float32 where f's are bfloat16."""
        self._require_frozen()
        with torch.inference_mode(), self._arithmetic(batch.device):
            outputs = self._fast(batch)(batch)
        if not isinstance(outputs, Tensor) or outputs.shape[:1] != batch.shape[:1]:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise BaseFunctionError(f"base function: expected a tensor of {len(batch)} outputs, got {found}")
        if outputs.dtype == torch.bfloat16:
            return outputs.float()  # exactly the same numbers, of a type that NumPy has
        return outputs.clone() if self.compiled and outputs.is_cuda else outputs  # CUDA graphs write there again

    def arithmetic(self) -> dict[str, Any]:
        """How f was computed, once it was: beside the weights, this is what certificates are about."""
        memory = "channels_last" if isinstance(self.f, nn.Module) else "as given"
        return {
            "precision": self.precision,
            "folded_batch_norms": self._folded,
            "memory_format": memory,
            "compiled": self.compiled,
        }

    def probe(self, batch: Tensor) -> None:
        """Raise BaseFunctionError if most rows come out otherwise beside a copy of themselves than in the batch.

        Looks at the first rows of the first batch that it is shown. Catches what eval mode does not: functional
        dropout, statistics over the batch. Rows may differ by rounding, and a discontinuous f may then jump, so one
        row proves nothing; most rows do.
        """
        if self._probed:
            return
        batch = batch[:PROBE].clone()  # f may write into it
        self._require_frozen()
        together = self(batch.clone()).reshape(len(batch), -1)
        alone = torch.cat([self(torch.stack([row, row]))[:1] for row in batch]).reshape(len(batch), -1)
        if not _alike(alone, together, 0.01):
            raise BaseFunctionError(
                "base function: its outputs depend on the batch or on chance; make row i a fixed function of input i"
            )
        self._probed = True

    def _require_frozen(self) -> None:
        if not isinstance(self.f, nn.Module):
            return
        if not any(
            module.training or (isinstance(module, _BatchNorm) and module.running_mean is None)
            for module in self.f.modules()
        ):
            return
        for name, module in self.f.named_modules():
            where = f"base function: {name or type(module).__name__}"
            if module.training:
                raise BaseFunctionError(f"{where} is in training mode; call .eval() after whatever changed it")
            if isinstance(module, _BatchNorm) and module.running_mean is None:
                raise BaseFunctionError(f"{where} normalises by its batch; use track_running_stats=True")

    def _fast(self, batch: Tensor) -> Callable[[Tensor], Tensor]:
        """What f is computed by: made anew where f's weights, or the device, are others than the last time."""
        if not isinstance(self.f, nn.Module):
            return self.f
        tensors = (*self.f.parameters(), *self.f.buffers())
        state = tuple((t.data_ptr(), t._version) for t in tensors if not t.is_inference())
        if state != self._made_from:
            with torch.inference_mode(False), torch.no_grad():
                self._copy = self._made_for_speed(self.f, batch[:PROBE].clone())
            self._made_from = state
        return self._copy

    def _made_for_speed(self, f: nn.Module, batch: Tensor) -> Callable[[Tensor], Tensor]:
        copied, self._folded = folded(f)
        if not _same_function(f, copied, batch):
            copied, self._folded = copy.deepcopy(f), 0
        copied.to(memory_format=torch.channels_last)
        if self.precision == "bfloat16":
            for module in copied.modules():
                if isinstance(module, _ConvNd | nn.Linear):
                    module.to(torch.bfloat16)  # autocast would do so again in every batch
        if self.compiled:
            mode = "reduce-overhead" if next(copied.parameters()).is_cuda else "default"
            return cast(Callable[[Tensor], Tensor], torch.compile(copied, mode=mode, dynamic=False))
        return copied

    @contextmanager
    def _arithmetic(self, device: torch.device) -> Iterator[None]:
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            if device.type != "cuda":
                yield
                return
            tf32 = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
            try:
                with torch.backends.cudnn.flags(
                    enabled=True, benchmark=False, deterministic=True, allow_tf32=self.precision == "tf32"
                ):
                    yield
            finally:
                torch.backends.cuda.matmul.allow_tf32 = tf32


def _same_function(f: nn.Module, g: nn.Module, batch: Tensor) -> bool:
    """Whether g, f folded, answers as f does: a trace may miss what a network's own code does beside its layers."""
    with torch.autocast(batch.device.type, enabled=False):
        outputs = f(batch.clone()), g(batch.clone())
    if not all(isinstance(found, Tensor) for found in outputs) or outputs[0].shape != outputs[1].shape:
        return False
    plain, fast = (found.reshape(len(found), -1) for found in outputs)
    return _alike(plain, fast, FOLDING_TOLERANCE)


def _alike(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether at least half of the rows agree, up to so much of their largest number: (b, k) and (b, k)."""
    scale = b.nan_to_num().abs().amax(dim=1, keepdim=True)
    same = torch.isclose(a, b, rtol=0, atol=0, equal_nan=True) | ((a - b).abs() <= tolerance * scale)
    return bool(same.all(dim=1).float().mean() >= 0.5)
