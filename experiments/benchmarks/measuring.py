"""How things are timed: in turn, on the same device, with the peak of memory that each takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

ROUNDS = 5
PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Measured:
    """One way to do a piece of work.

    Attributes:
        seconds: of each round, in the order of the rounds.
        memory: the largest peak, in MB, beyond what was held before; NaN where it cannot be had (CPU, not Linux).
    """

    seconds: list[float]
    memory: float

    @property
    def median(self) -> float:
        return median(self.seconds)

    def times_slower_than(self, other: "Measured") -> float:
        """The median of the rounds' ratios of seconds."""
        return median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


def in_turn(ways: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, Measured]:
    """Each way once to warm up, then all of them in turn, `rounds` times."""
    for work in ways.values():
        seconds(work)
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            before = _forget_peak()
            times[name].append(seconds(work))
            peaks[name].append(_peak() - before)
    return {name: Measured(times[name], max(peaks[name])) for name in ways}


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, to the end of what the device is given."""
    _settle()
    started = time.perf_counter()
    work()
    _settle()
    return time.perf_counter() - started


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _forget_peak() -> float:
    """MB held now; from here on `_peak` counts anew."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    try:
        (PROCESS / "clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return float("nan")


def _peak() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        return _status("VmHWM")
    except OSError:
        return float("nan")


def _status(name: str) -> float:
    (line,) = (line for line in (PROCESS / "status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) / 2**10
