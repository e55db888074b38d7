"""Progress of a certification: a bar on a terminal, otherwise occasional lines, with a running summary of the rows."""

import sys
import time
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from experiments.machine.words import counted, device_text
from experiments.runs.so_far import so_far
from smoothing import Certifier

EVERY = 60.0  # seconds until the next line
TENTH_AFTER = 5.0  # seconds until the next line if a tenth of the work was done since the last one


class Progress:
    """Show the number of finished and of certified examples, the time left, and `so_far`, on stderr.

    Args:
        examples: total number of examples.
        samples_each: largest number of samples per example.
        lines: print lines instead of a bar; None: only if stderr is not a terminal.
    """

    def __init__(self, examples: int, samples_each: int, lines: bool | None = None) -> None:
        self._examples, self._each = examples, max(1, samples_each)  # without samples, an example counts as one
        self._done = self._samples = self._certified = self._empty = 0
        self._rows: list[Mapping[str, Any]] = []
        self._summed, self._summary = -inf, dict[str, float]()
        self._lines = not sys.stderr.isatty() if lines is None else lines
        self._bar = tqdm(total=examples * self._each, unit=" samples", unit_scale=True, disable=self._lines)
        self._started = self._said = time.perf_counter()
        self._tenths = 0

    def samples(self, count: int) -> None:
        self._samples += count
        self._bar.update(count)
        self._say_now_and_then()

    def example(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count a finished example with its rows. It may have used fewer samples than `samples_each`."""
        self._done += 1
        rows = list(rows)
        self._rows += rows
        self._empty += any(row.get("empty") for row in rows)
        self._certified += all(row.get("status") == "certified" for row in rows)
        missing = max(0, self._done * self._each - self._samples)
        self._samples += missing
        if not self._lines:
            self._bar.set_description(f"example {self._done}/{self._examples}, {self._found()}")
        self._bar.update(missing)
        self._say_now_and_then()

    def _say_now_and_then(self) -> None:
        now = time.perf_counter()
        share = self._samples / max(1, self._examples * self._each)
        tenth = int(10 * share) > self._tenths and now - self._said >= TENTH_AFTER
        if not self._lines or self._done == self._examples or (now - self._said < EVERY and not tenth):
            return
        self._said, self._tenths = now, int(10 * share)
        left = (now - self._started) * (1 - share) / max(share, 1e-9)
        self._print(f"{self._samples:,} samples, about {duration(left)} left")

    def _found(self) -> str:
        """The running summary of the rows, with counts instead of the certified share."""
        now = time.perf_counter()
        if self._rows and (now - self._summed > 1 or self._done == self._examples):  # it takes milliseconds
            self._summed, self._summary = now, so_far(self._rows)
        found = self._summary
        counts = f"{self._certified} certified{f', {self._empty} with an empty output' if self._empty else ''}"
        return counts + "".join(f", {name}: {value:.3g}" for name, value in found.items() if name != "certified")

    def _print(self, rest: str) -> None:
        print(f"example {self._done} of {self._examples} done, {self._found()}; {rest}", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        if self._lines:
            spent = duration(time.perf_counter() - self._started)
            self._print(f"stopped after {spent}" if any(error) else f"{spent} in all")


def announcement(certifier: Certifier, x: Tensor, device: str, folder: Path, examples: int) -> str:
    """A line about the work ahead, with its duration estimated from the time of one batch.

    Args:
        certifier: the certifier, with its batch size set.
        x: an input of the base function, (*shape).
        device: name of the device.
        folder: folder of the results.
        examples: number of examples without rows.
    """
    text = f"{device_text(device)}; {folder}; {counted(examples, 'example')}"
    if not certifier.samples:
        return text
    samples = examples * certifier.samples
    size = min(certifier.engine.tune(x), samples)
    batch = x.expand(size, *x.shape).contiguous()
    started = time.perf_counter()
    certifier.f(batch).flatten()[:1].cpu()  # synchronizes with the device
    seconds = (time.perf_counter() - started) * samples / size
    return f"{text} of at most {certifier.samples:,} samples; about {duration(seconds)} for the base function"


def duration(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
