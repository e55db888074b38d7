"""When the device worked: the intervals of its kernels, from a profile."""

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

Interval = tuple[float, float]
# Categories of a trace's events: what the GPU does, what asks it to, and torch's operations on a CPU.
ON_GPU, CALLS, ON_CPU = ("kernel", "gpu_memcpy", "gpu_memset"), ("cuda_runtime", "cuda_driver"), ("cpu_op",)


@dataclass(frozen=True)
class Kernel:
    """One piece of work of the device: its name, begin and end in microseconds, and its stream (0 on a CPU)."""

    name: str
    begin: float
    end: float
    stream: int = 0


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Disjoint intervals, in order, that cover the same points.

    Examples:
        >>> merged([(4, 5), (0, 2), (1, 3)])
        [(0, 3), (4, 5)]
    """
    found: list[Interval] = []
    for begin, end in sorted(intervals):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def covered(intervals: Iterable[Interval]) -> float:
    """The length of what intervals cover together.

    Examples:
        >>> covered([(4, 5), (0, 2), (1, 3)])
        4
    """
    return sum(end - begin for begin, end in merged(intervals))


def idle_share(intervals: Iterable[Interval]) -> float:
    """The share of the time from the first begin to the last end in which no interval lies; 0 for no intervals.

    Examples:
        >>> idle_share([(4, 5), (0, 2), (1, 3)])
        0.2
    """
    parts = merged(intervals)
    span = parts[-1][1] - parts[0][0] if parts else 0.0
    return 1 - covered(parts) / span if span > 0 else 0.0


def profiled(work: Callable[[], object], device: torch.device, kinds: tuple[str, ...] = ON_GPU) -> list[Kernel]:
    """What a GPU did during the work, in events of these kinds. On a CPU: torch's operations."""
    cuda = device.type == "cuda"
    kinds = kinds if cuda else ON_CPU
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as found:
        work()
        if cuda:
            torch.cuda.synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        found.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return [
        Kernel(event["name"], event["ts"], event["ts"] + event["dur"], int(event.get("args", {}).get("stream", 0)))
        for event in events
        if event.get("cat") in kinds
    ]
