"""Certify on a simulated second GPU, and print the races between its streams. Run in a separate process.

Tensors say that they are on cuda:1 and compute on the CPU. Each operation is noted with its stream's vector clock; an
operation that reads or writes memory must come after the last write, and one that writes after all reads, by stream
order or by an event. What is patched is the part of torch.cuda that the engine uses.
"""

import sys
from collections import defaultdict
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 1)
VIEWS = {"view", "expand", "permute", "transpose", "t", "slice", "select", "unsqueeze", "squeeze", "detach", "alias"}
VIEWS |= {"as_strided", "split", "unbind", "unfold", "_unsafe_view", "empty", "new_empty", "empty_like"}

clocks = defaultdict(lambda: defaultdict(int))  # of each stream: how far it knows each stream to be
written, read = {}, defaultdict(dict)  # of each memory: (stream, time) of the last write; times of the reads since
races = []
current = {0: "default of 0", 1: "default of 1"}
device_now = [0]
alive = []  # so that no memory's address is used twice


class OnDevice(torch.Tensor):
    """A tensor on the simulated device, which wraps one on the CPU."""

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def data_ptr(self):
        return self.held.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return computed(function, args, kwargs or {})


class Everywhere(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return computed(function, args, kwargs or {})


def computed(function, args, kwargs):
    wrapped = [a for a in tree_leaves((args, kwargs)) if isinstance(a, OnDevice)]
    wanted = kwargs.get("device")
    on_device = bool(wrapped) if wanted is None else torch.device(wanted).type == "cuda"
    if not wrapped and not on_device:
        return function(*args, **kwargs)
    held_args, held_kwargs = tree_map(lambda a: a.held if isinstance(a, OnDevice) else a, (args, kwargs))
    if wanted is not None:
        held_kwargs["device"] = "cpu"
    result = function(*held_args, **held_kwargs)
    name = function._schema.name.split("::")[1]
    if name not in VIEWS:
        note(function, args, kwargs, result if on_device else None)
    mutated = [
        a
        for a, spec in zip(args, function._schema.arguments, strict=False)
        if spec.alias_info and spec.alias_info.is_write
    ]
    if mutated and name.endswith("_"):
        return mutated[0]
    if isinstance(kwargs.get("out"), OnDevice):
        return kwargs["out"]
    return tree_map(lambda a: OnDevice(a) if isinstance(a, torch.Tensor) else a, result) if on_device else result


def note(function, args, kwargs, result):
    stream = current[1]
    clock = clocks[stream]
    clock[stream] += 1
    now = clock[stream]
    writes = set()
    for spec, value in [*zip(function._schema.arguments, args, strict=False)] + [
        (spec, kwargs[spec.name]) for spec in function._schema.arguments if spec.name in kwargs
    ]:
        for tensor in (v for v in tree_leaves(value) if isinstance(v, OnDevice)):
            memory = tensor.held.untyped_storage().data_ptr()
            last = written.get(memory)
            if last and clock[last[0]] < last[1]:
                races.append(("after a write", function._schema.name))
            if spec.alias_info and spec.alias_info.is_write:
                races.extend(("after a read", function._schema.name) for s, t in read[memory].items() if clock[s] < t)
                writes.add(memory)
            else:
                read[memory][stream] = now
    for tensor in (r for r in tree_leaves(result) if isinstance(r, torch.Tensor)):
        alive.append(tensor.untyped_storage())
        writes.add(tensor.untyped_storage().data_ptr())
    for memory in writes:
        written[memory], read[memory] = (stream, now), {}


def follow(waiting, other):
    for stream, time in other.items():
        clocks[waiting][stream] = max(clocks[waiting][stream], time)


class Stream:
    def __init__(self, device=None, name=None):
        self.device = torch.device("cuda", device_now[0]) if device is None else torch.device(device)
        self.name = name or f"stream {id(self)}"

    def wait_stream(self, other):
        follow(self.name, dict(clocks[other.name]))

    def wait_event(self, event):
        follow(self.name, event.clock)


class Generator(torch.Generator):
    def __new__(cls, device=None):
        return super().__new__(cls)


class Event:
    clock: dict = {}  # noqa: RUF012

    def record(self, stream=None):
        self.clock = dict(clocks[stream.name if stream else current[device_now[0]]])


def current_stream(device=None):
    number = device_now[0] if device is None else torch.device(device).index
    return Stream(torch.device("cuda", number), current[number])


@contextmanager
def on(stream):
    before, device = current[stream.device.index], device_now[0]
    current[stream.device.index], device_now[0] = stream.name, stream.device.index
    yield
    current[stream.device.index], device_now[0] = before, device


def main():
    from smoothing import Certify, DeterministicSplitting, Gaussian, Splitting, Uniform

    torch._C._ensureCUDADeviceGuardSet()
    torch.cuda._lazy_init = lambda: None
    torch.cuda.Stream, torch.cuda.Event = Stream, Event
    torch.cuda.current_stream, torch.cuda.stream = current_stream, on
    torch.Generator = Generator
    if sys.argv[1:] == ["broken"]:  # events of the current device's stream, not of the buffer's
        record = Event.record
        Event.record = lambda event, stream=None: record(event)
    weights = OnDevice(torch.randn(16, 3))
    noises = (
        Gaussian(0.5),
        Gaussian(0.5, grid=16),
        Uniform(0.5),
        Splitting(0.5, 16),
        DeterministicSplitting(1.5, 16, (16,)),
    )
    for noise in noises:
        races.clear()
        with Everywhere():
            x = [OnDevice(torch.randint(0, 17, (16,)) / 16) for _ in range(4)]
            c = Certify(lambda batch: batch @ weights, noise, n0=20, n=300, alpha=0.01, batch_size=64)
            results = list(c.engine.run_all(c.procedure(x[i], i, 0) for i in range(4)))
        print(type(noise).__name__, len(results), "races", len(races), sorted(set(races)))


if __name__ == "__main__":
    main()
