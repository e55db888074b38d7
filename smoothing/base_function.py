"""The base function f, frozen: certificates are about one fixed function of one input."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from smoothing.errors import BaseFunctionError, SettingError

Precision = Literal["float32", "tf32", "bfloat16"]
PROBE = 8  # rows on which independence of the batch is checked


class FrozenFunction:
    """A base function in eval mode, without gradients, at a stated precision.

    Args:
        f: an `nn.Module` or any callable, (b, *input shape) -> (b, *output shape), row i a function of input i alone.
        precision: arithmetic of f: "float32", "tf32" (CUDA matrix products and convolutions) or "bfloat16"
            (autocast). It is part of what is certified.

    Raises:
        BaseFunctionError: f is an `nn.Module` that is in training mode when called, or holds a batch normalisation
            without running statistics (either makes f depend on the batch, which voids a certificate).
    """

    def __init__(self, f: Callable[[Tensor], Tensor], precision: Precision = "float32") -> None:
        if precision not in ("float32", "tf32", "bfloat16"):
            raise SettingError(f"precision: expected float32, tf32 or bfloat16, got {precision}")
        self.f, self.precision = f, precision
        self._probed = False
        if isinstance(f, nn.Module):
            f.eval().requires_grad_(False)

    def __call__(self, batch: Tensor) -> Tensor:
        """Outputs of a batch: (b, *input shape) -> (b, *output shape)."""
        self._require_frozen()
        with torch.inference_mode(), self._arithmetic(batch.device.type):
            outputs = self.f(batch)
        if not isinstance(outputs, Tensor) or outputs.shape[:1] != batch.shape[:1]:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise BaseFunctionError(f"base function: expected a tensor of {len(batch)} outputs, got {found}")
        return outputs

    def probe(self, batch: Tensor) -> None:
        """Raise BaseFunctionError if most rows come out otherwise beside a copy of themselves than in the batch.

        Looks at the first rows of the first batch that it is shown. Catches what eval mode does not: functional
        dropout, statistics over the batch. Rows may differ by rounding, and a discontinuous f may then jump, so one
        row proves nothing; most rows do.
        """
        if self._probed:
            return
        batch = batch[:PROBE]
        together = self(batch).reshape(len(batch), -1)
        alone = torch.cat([self(torch.stack([row, row]))[:1] for row in batch]).reshape(len(batch), -1)
        scale = together.nan_to_num().abs().amax(dim=1, keepdim=True)
        same = torch.isclose(alone, together, rtol=0, atol=0, equal_nan=True) | (
            (alone - together).abs() <= 0.01 * scale
        )
        if same.all(dim=1).float().mean() < 0.5:
            raise BaseFunctionError(
                "base function: its outputs depend on the batch or on chance; make row i a fixed function of input i"
            )
        self._probed = True

    def _require_frozen(self) -> None:
        if not isinstance(self.f, nn.Module):
            return
        for name, module in self.f.named_modules():
            where = f"base function: {name or type(module).__name__}"
            if module.training:
                raise BaseFunctionError(f"{where} is in training mode; call .eval() after whatever changed it")
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
                raise BaseFunctionError(f"{where} normalises by its batch; use track_running_stats=True")

    @contextmanager
    def _arithmetic(self, device_type: str) -> Iterator[None]:
        tf32 = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        try:
            with (
                torch.backends.cudnn.flags(
                    enabled=True, benchmark=False, deterministic=True, allow_tf32=self.precision == "tf32"
                ),
                torch.autocast(device_type, torch.bfloat16, enabled=self.precision == "bfloat16"),
            ):
                yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = tf32
