"""The device of a run, and a setting of the C library's allocator that makes it reuse freed memory."""

import ctypes
import sys

import torch

from smoothing import SettingError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # constants of malloc.h
KEPT = 2**30  # bytes: reuse blocks up to this size, and keep up to this much free memory at the end of the heap


def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory instead of returning it to the system. Returns whether that worked.

    By default glibc maps and unmaps memory for each large tensor, and the kernel zeroes every page again. This takes a
    quarter of the time of an autoencoder's forward passes on a CPU. With this setting, the process keeps its peak
    memory until it ends. Other C libraries are left unchanged.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, KEPT)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))


def choose_device(name: str) -> torch.device:
    """The device named auto, cpu, cuda or cuda:<k>. Raises SettingError if it is another, or is not available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device: expected auto, cpu or cuda, got {name}") from error
    if device.type not in ("cpu", "cuda"):
        raise SettingError(f"device: expected auto, cpu or cuda, got {name}; other kinds were never tested")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError("device: expected a CUDA device, torch finds none; use device=cpu or device=auto")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise SettingError(f"device: expected cuda:0 to cuda:{count - 1}, got {name}")
    return torch.device("cpu") if device.type == "cpu" else device


def device_name(device: torch.device) -> str:
    """The device's name in run.json: the name of the GPU, or "cpu" and the number of threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
