"""Measures time and peak memory of several ways to do the same work, alternately on one device."""

import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch

from experiments.machine.device import keep_freed_memory

ROUNDS = 5
PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Measured:
    """One way to do a piece of work.

    Attributes:
        seconds: seconds of each round, in order.
        memory: largest peak in MB, in addition to what the process held before preparation. NaN if it cannot be
            measured (CPU, not Linux).
    """

    seconds: list[float]
    memory: float

    @property
    def median(self) -> float:
        return median(self.seconds)

    def times_slower_than(self, other: "Measured") -> float:
        """The median of the rounds' ratios of seconds."""
        return median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


Way = Callable[
    [], Callable[[], object]
]  # prepares and returns the work; a module-level function, or a `partial` of one


def in_turn(ways: dict[str, Way], rounds: int = ROUNDS) -> dict[str, Measured]:
    """Run each way once to warm up, then all of them alternately, `rounds` times.

    Each way has its own process, like a user's script. In one process, memory that one way left in the allocator makes
    another faster or slower by up to a factor of two.
    """
    context = multiprocessing.get_context("spawn")
    workers = {}
    for name, way in ways.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(way, theirs), daemon=True)
        process.start()
        workers[name] = process, ours
        if (error := ours.recv()) is not None:
            raise RuntimeError(f"{name}: {error}")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (_, pipe) in workers.items():
            pipe.send(True)
            found[name].append(pipe.recv())
    for process, pipe in workers.values():
        pipe.send(False)
        process.join()
    return {
        name: Measured([time for time, _ in rounds], max(memory for _, memory in rounds))
        for name, rounds in found.items()
    }


def tuned(way: Callable[..., Callable[[], object]], *arguments: Any) -> Callable[[], object]:
    """A way with certify.py's allocator setting, which keeps freed memory."""
    keep_freed_memory()
    return way(*arguments)


def _work(way: Way, pipe: "Connection[object, object]") -> None:
    try:
        held = _held()
        work = way()
        seconds(work)
        seconds(work)
        pipe.send(None)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    while pipe.recv():
        _forget_peak()
        pipe.send((seconds(work), _peak() - held))


def hardware(device: torch.device) -> str:
    """The name of the GPU, or the processor with its cores and instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(": ")[2]
    except (OSError, IndexError):
        name = platform.processor()
    flags = torch.backends.cpu.get_cpu_capability()
    return f"{name}, {os.cpu_count()} cores, {flags}"


def seconds(work: Callable[[], object]) -> float:
    """Seconds until the work is done, including all work queued on the device."""
    _settle()
    started = time.perf_counter()
    work()
    _settle()
    return time.perf_counter() - started


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _held() -> float:
    """Memory in use now, in MB."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2**20
    return _status("VmRSS")


def _forget_peak() -> None:
    """Reset the peak that `_peak` reports."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif (PROCESS / "clear_refs").exists():
        (PROCESS / "clear_refs").write_text("5")


def _peak() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return _status("VmHWM")


def _status(name: str) -> float:
    """A memory entry of /proc/self/status in MB. NaN if there is none (not Linux)."""
    try:
        lines = (PROCESS / "status").read_text().splitlines()
    except OSError:
        return float("nan")
    (line,) = (line for line in lines if line.startswith(name + ":"))
    return int(line.split()[1]) / 2**10
