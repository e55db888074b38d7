"""The device of a run, and the C library's allocator: told to keep what a batch has freed for the next batch."""

import ctypes
import sys

import torch

from smoothing import SettingError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT = 2**30  # bytes: blocks up to this size are reused, and so much is kept at the end of the heap


def keep_freed_memory() -> bool:
    """Let glibc reuse freed memory instead of giving it back to the system; returns whether it could be told.

    By default each large tensor is mapped and unmapped anew, and its pages, zeroed by the kernel, fault in one by one:
    on a CPU a quarter of the time of an autoencoder's forward passes. The process keeps its peak until it ends.
    No effect where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, KEPT)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))


def choose_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:<k> as a device that is there. Raises SettingError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device: expected auto, cpu or cuda, got {name}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError("device: torch sees no CUDA device here; use device=cpu or device=auto")
    return device


def device_name(device: torch.device) -> str:
    """What run.json calls it: the GPU's name, or the CPU and its threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
