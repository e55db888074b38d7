"""The arithmetic of a certificate, which does not depend on torch's global settings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import RLock
from typing import Any, Literal

import torch

Precision = Literal["float32", "tf32", "bfloat16"]
ONE_THREAD = RLock()  # held while f is evaluated: torch's settings are those of the whole process
ON_CPU = (  # may compute float32 with fewer digits
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.rnn,  # type: ignore[attr-defined]
)
CUDNN: tuple[Any, ...] = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # type: ignore[attr-defined]


@contextmanager
def fixed_arithmetic(
    device: torch.device,
    precision: Precision = "float32",
    dtype: torch.dtype = torch.float32,
    default_device: torch.device | None = None,
) -> Iterator[None]:
    """Context manager: compute at this precision, without gradients. The caller's settings are restored at the end.

    It overrides autocast; the precision of float32 matrix products, convolutions and recurrent layers; gradients and
    inference mode; deterministic algorithms; the default dtype; and the default device. On CUDA, cuDNN selects its
    algorithms deterministically. One thread at a time is inside.

    Args:
        device: to compute on.
        precision: "float32", "tf32" (CUDA only) or "bfloat16" (autocast).
        dtype: the default dtype inside.
        default_device: the default device inside; the CPU if not given.

    Examples:
        >>> with fixed_arithmetic(torch.device("cpu"), "bfloat16"):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype, torch.is_grad_enabled()
        (torch.bfloat16, False)
    """
    with ONE_THREAD, ExitStack() as stack:  # enters only what is needed: it is entered for every batch
        gradients, default = torch.is_grad_enabled(), torch.get_default_dtype()
        right = []  # kinds of device without autocast
        for kind in {device.type, "cpu"}:
            rough = precision == "bfloat16" and kind == device.type
            if rough or torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, torch.bfloat16, enabled=rough))
            else:
                right.append(kind)
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        _set_products(stack, device, "tf32" if precision == "tf32" and device.type == "cuda" else "ieee")
        if torch.empty(0).device != (wanted := default_device or torch.device("cpu")):
            stack.enter_context(wanted)
        if torch.are_deterministic_algorithms_enabled():
            warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
            stack.callback(torch.use_deterministic_algorithms, True, warn_only=warn_only)
            torch.use_deterministic_algorithms(False)
        try:
            torch.set_grad_enabled(False)
            if default != dtype:
                torch.set_default_dtype(dtype)
            yield
        finally:
            for kind in right:  # user code inside may have turned it on
                torch.set_autocast_enabled(kind, False)
            if torch.get_default_dtype() != default:
                torch.set_default_dtype(default)
            torch.set_grad_enabled(gradients)


@contextmanager
def float32_products(device: torch.device, tf32: bool = False) -> Iterator[None]:
    """Context manager: compute matrix products, convolutions and recurrent layers in float32, or in TF32 on CUDA.

    On CUDA, cuDNN selects its algorithms deterministically. The caller's settings are restored at the end.

    torch has an old and a new interface. The old one raises if the caller has used the new one. So this sets the old
    one first, if it does not raise, and then the new one. Settings that are already right are not touched.

    Args:
        device: to compute on.
        tf32: whether to compute in TF32, with 10 instead of 23 bits of mantissa.
    """
    with ExitStack() as stack:
        _set_products(stack, device, "tf32" if tf32 else "ieee")
        yield


def _set_products(stack: ExitStack, device: torch.device, wanted: str) -> None:
    matmul = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    with suppress(RuntimeError):
        old = torch.get_float32_matmul_precision()
        if (old == "highest") != (wanted == "ieee"):
            for backend in matmul:
                stack.callback(_restore, backend, backend.fp32_precision)
            stack.callback(torch.set_float32_matmul_precision, old)
            torch.set_float32_matmul_precision("highest" if wanted == "ieee" else "high")
    _set_cpu(stack)
    if device.type == "cuda":
        for backend in (*CUDNN, torch.backends.cudnn):  # the last, of which the others inherit, is restored first
            stack.callback(_restore, backend, backend.fp32_precision)
        for agreed in ("tf32", "none"):
            if not _answers():
                for backend in CUDNN:
                    backend.fp32_precision = agreed
        stack.enter_context(
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=wanted == "tf32")
        )
        for backend in CUDNN:
            backend.fp32_precision = wanted
        _set(stack, torch.backends.cuda.matmul, wanted)


def _set_cpu(stack: ExitStack) -> None:
    before = {backend: backend.fp32_precision for backend in (*ON_CPU, torch.backends)}
    stack.callback(_restore_all, before)  # also what is right: user code inside may change it
    for backend in ON_CPU:
        if before[backend] not in ("none", "ieee"):
            backend.fp32_precision = "ieee"


def _answers() -> bool:
    """Whether torch's old interface to cuDNN's precision agrees with the new one."""
    try:
        return isinstance(torch.backends.cudnn.allow_tf32, bool)
    except RuntimeError:
        return False


def _set(stack: ExitStack, backend: Any, wanted: str) -> None:
    before = backend.fp32_precision
    stack.callback(_restore, backend, before)
    if before != wanted and not (before == "none" and wanted == "ieee"):
        backend.fp32_precision = wanted


def _restore_all(before: dict[Any, str]) -> None:
    for backend, precision in before.items():
        if backend.fp32_precision != precision:
            _restore(backend, precision)


def _restore(backend: Any, before: str) -> None:
    """Make a setting what it was. If it was inherited, it is inherited again.

    cuDNN's own default is TF32, and torch has no way back to it. If the caller's precision hid it, it is float32 later.
    """
    backend.fp32_precision = "none"
    if backend.fp32_precision != before:
        backend.fp32_precision = before
