"""Streams, events and memory of the pretended devices, and a checker for races between streams.

Each stream has a clock. It says, for each stream, how many of its kernels surely end before the next kernel here
begins. A stream learns this from a stream or an event that it waits for, and the host from a sync. All kernels that are
launched later come after what the host knows.

Two kernels race if they use the same memory, one of them writes it, and neither is known to end before the other
begins. Freed memory goes back to the pool of the stream that it was allocated on. The next allocation on that stream
may be given it, so all kernels on other streams that use it must be known to end before.
"""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

import torch

LIBRARY = str(Path(__file__).parent.parent.parent / "smoothing") + "/"
DEVICES = 2


class Clock(dict):
    """How many kernels of each stream surely end first."""

    def learn(self, other):
        for stream, time in other.items():
            self[stream] = max(self.get(stream, 0), time)

    def knows(self, use):
        stream, time = use
        return self.get(stream, 0) >= time


class Record:
    """What was seen: races, host syncs by their place in the library, and the kernels launched on each stream."""

    def __init__(self):
        self.races, self.syncs, self.launches = Counter(), Counter(), Counter()


class Host:
    """The host: what it has waited for, the current device and streams, and the record."""

    def __init__(self):
        self.clock, self.record = Clock(), Record()
        self.device = 0
        self.streams = [Stream(k, name=f"default of {k}") for k in range(DEVICES)]  # the current one of each device
        self.every_stream = WeakSet(self.streams)
        self.one_stream = False  # whether `with torch.cuda.stream(...)` changes nothing

    def sync(self, *waited_for, why):
        """Wait for streams or events."""
        for each in waited_for:
            self.clock.learn(each.clock)
        self.record.syncs[f"{why} in {place()}"] += 1


class Stream:
    """Stands in for torch.cuda.Stream."""

    def __init__(self, device=None, priority=0, name="side"):
        self.device = torch.device("cuda", number_of(device))
        self.name = name
        self.clock = Clock()
        self.freed = []  # for each memory in this stream's pool: the kernels on other streams that use it
        if name == "side":
            host.every_stream.add(self)

    def wait_stream(self, other):
        self.clock.learn(other.clock)

    def wait_event(self, event):
        self.clock.learn(event.clock)

    def record_event(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def synchronize(self):
        host.sync(self, why="Stream.synchronize")

    def allocate(self):
        """New memory, perhaps memory that was freed before."""
        self.clock.learn(host.clock)
        for uses in self.freed:
            if not all(map(self.clock.knows, uses)):
                host.record.races[f"memory freed while in use, allocated again in {place()}"] += 1
        self.freed.clear()
        return Memory(self)

    def launch(self, kernel, reads, writes, made=()):
        """Launch a kernel that reads and writes memory, and writes memory made for it. Note the races."""
        self.clock.learn(host.clock)
        now = self, self.clock.get(self, 0) + 1
        for memory in reads:
            self._require(memory.written, f"{kernel} reads what is being written")
        for memory in writes:
            self._require(memory.written, f"{kernel} writes what is being written")
            for use in memory.read.items():
                self._require(use, f"{kernel} writes what is being read")
        for memory in reads:
            memory.read[self] = now[1]
        for memory in (*writes, *made):
            memory.written, memory.read = now, {}
        self.clock[self] = now[1]
        host.record.launches[self.name] += 1

    def _require(self, use, otherwise):
        if use and not self.clock.knows(use):
            host.record.races[f"{otherwise} in {place()}"] += 1


class Event:
    """Stands in for torch.cuda.Event."""

    timed = 0  # recordings of events with timing

    def __init__(self, enable_timing=False):
        self.clock, self.timing = Clock(), enable_timing

    def record(self, stream=None):
        self.clock = Clock((stream or current_stream()).clock)
        if self.timing:
            Event.timed += 1
            self.number = Event.timed

    def wait(self, stream=None):
        (stream or current_stream()).wait_event(self)

    def synchronize(self):
        host.sync(self, why="Event.synchronize")

    def query(self):
        """Whether the host has already waited for what was recorded."""
        return all(map(host.clock.knows, self.clock.items()))

    def elapsed_time(self, end):
        """Milliseconds; a recording for each."""
        return 1000.0 * (end.number - self.number)


class Memory:
    """Memory of one storage: the last kernel that wrote it, and the kernels that have read it since."""

    def __init__(self, stream):
        self.stream = stream
        self.written = None  # (stream, time)
        self.read = {}  # stream: time
        self.recorded = set()  # streams whose kernels the allocator waits for, by record_stream

    def __del__(self):
        uses = [*self.read.items(), *([self.written] if self.written else [])]
        self.stream.freed.append([use for use in uses if use[0] is not self.stream and use[0] not in self.recorded])


def place():
    """The innermost function of the library that is being called."""
    frame = sys._getframe(1)
    while frame and not frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(LIBRARY)}: {frame.f_code.co_qualname}" if frame else "other code"


def number_of(device):
    """The number of a device; the current one's if it has none."""
    if device is None:
        return host.device
    index = device if isinstance(device, int) else torch.device(device).index
    return host.device if index is None else index


def current_stream(device=None):
    return host.streams[number_of(device)]


def synchronize(device=None):
    """Stands in for torch.cuda.synchronize."""
    host.sync(*(s for s in host.every_stream if s.device.index == number_of(device)), why="synchronize")


@contextmanager
def on_stream(stream):
    """Stands in for torch.cuda.stream."""
    if stream is None or host.one_stream:
        yield
        return
    number, device = stream.device.index, host.device
    before, host.streams[number] = host.streams[number], stream
    host.device = number
    try:
        yield
    finally:
        host.streams[number], host.device = before, device


@contextmanager
def watched(one_stream=False):
    """Begin anew: new streams, and a new record, which is returned. No tensor may be used that was made before."""
    host.__init__()
    host.one_stream = one_stream
    yield host.record


host = Host()
