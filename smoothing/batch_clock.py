"""The time that batches take on their device."""

import time

import torch


class Lap:
    """The time of one batch.

    Args:
        begin: when the batch before it ended: seconds of the host, or an event of a CUDA device.
        end: when it ended.
    """

    def __init__(self, begin: "float | torch.cuda.Event", end: "float | torch.cuda.Event") -> None:
        self._begin, self._end = begin, end

    @property
    def on_gpu(self) -> bool:
        """Whether a CUDA device measured it. Then it includes the host's time before the batch."""
        return not isinstance(self._end, float)

    @property
    def seconds(self) -> float:
        """Its seconds. On CUDA, wait until it has ended."""
        if isinstance(self._begin, float) or isinstance(self._end, float):
            assert isinstance(self._begin, float)
            assert isinstance(self._end, float)
            return self._end - self._begin
        if not self._end.query():
            self._end.synchronize()
        milliseconds: float = self._begin.elapsed_time(self._end)
        return milliseconds / 1000


class BatchClock:
    """Times one batch after the other.

    A CUDA device may be batches behind the host, whose clock would give an example the time of others. So events on the
    device's stream mark where a batch ends, and the next one begins.
    """

    def __init__(self) -> None:
        self._last: torch.cuda.Event | None = None
        self._started = 0.0

    def restart(self) -> None:
        """Forget the time since the last batch: the caller did other work."""
        self._last = None

    def begin(self, device: torch.device) -> None:
        """A batch begins."""
        self._started = time.perf_counter()
        if device.type == "cuda" and self._last is None:
            self._last = _event(device)

    def end(self, device: torch.device) -> Lap:
        """The batch's time, once all its work is queued."""
        if self._last is None:
            return Lap(self._started, time.perf_counter())
        begin, self._last = self._last, _event(device)
        return Lap(begin, self._last)


def _event(device: torch.device) -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event
