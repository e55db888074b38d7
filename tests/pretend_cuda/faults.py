"""Plant faults in small programs and in the library, and print what is found: a line of JSON for each."""

import json
from contextlib import contextmanager, nullcontext
from functools import partial
from unittest.mock import patch

import torch
from cases import NOISES, certified
from checker import Event, Stream, host, watched
from device import pretend
from functions import Product

from smoothing import Certify, DeterministicSplitting
from smoothing.double_buffer import DoubleBuffer

DEVICE = "cuda:1"  # not the current one


def no_fault():
    return nullcontext()


def events_of_the_current_device():
    record = Event.record
    return patch.object(Event, "record", lambda event, stream=None: record(event))


def noise_does_not_wait_for_the_buffer():
    return patch.object(Stream, "wait_event", lambda stream, event: None)


def network_does_not_wait_for_the_noise():
    wait = Stream.wait_stream
    return patch.object(Stream, "wait_stream", lambda stream, other: stream in host.streams or wait(stream, other))


@contextmanager
def noise_does_not_wait_for_its_input():
    """It waits for the last event of a buffer instead, which is recorded before the next input is made."""
    last, record, wait = {}, Event.record, Stream.wait_stream

    def record_last(event, stream=None):
        record(event, stream)
        if not event.timing:
            last[stream] = event

    def wait_less(stream, other):
        wait(stream, other) if stream in host.streams else stream.wait_event(last[other])

    with patch.object(Event, "record", record_last), patch.object(Stream, "wait_stream", wait_less):
        yield


def weights_on_the_cpu():
    return patch.object(Product, "to", lambda f, device: f)


def weights_on_another_device():
    to = Product.to
    return patch.object(Product, "to", lambda f, device: to(f, "cuda:0"))


def table_of_the_noise_on_the_cpu():
    table = DeterministicSplitting._table
    return patch.object(DeterministicSplitting, "_table", lambda noise, x: table(noise, x.cpu()))


@contextmanager
def batches_in_new_memory_of_another_stream():
    """The memory is freed after each batch, and that stream does not wait for the network."""
    streams, find = [], DoubleBuffer.next

    def find_new(buffer):
        memory = find(buffer)
        streams.append(streams[0] if streams else torch.cuda.Stream(memory.device))
        with torch.cuda.stream(streams[0]):
            return torch.empty_like(memory)

    with patch.object(DoubleBuffer, "next", find_new):
        yield


FAULTS = (
    no_fault,
    events_of_the_current_device,
    noise_does_not_wait_for_the_buffer,
    network_does_not_wait_for_the_noise,
    noise_does_not_wait_for_its_input,
    weights_on_the_cpu,
    weights_on_another_device,
    table_of_the_noise_on_the_cpu,
    batches_in_new_memory_of_another_stream,
)


def two_streams(on_main, on_side, wait):
    """Make x, use it on the main stream and on another, and return what the second does."""
    main, side = torch.cuda.current_stream(DEVICE), torch.cuda.Stream(DEVICE)
    x = torch.zeros(8).to(DEVICE)
    side.wait_stream(main)
    on_main(x)
    if wait:
        side.wait_stream(main)
    with torch.cuda.stream(side):
        on_side(x)


def freed(wait=False, record=False, read=False):
    """Free x while another stream still reads it, and allocate again."""
    main, side = torch.cuda.current_stream(DEVICE), torch.cuda.Stream(DEVICE)
    x = torch.zeros(8).to(DEVICE)
    side.wait_stream(main)
    with torch.cuda.stream(side):
        y = x + 1
        if read:
            y.sum().item()
    if record:
        x.record_stream(side)
    del x
    if wait:
        main.wait_stream(side)
    return torch.ones(8, device=DEVICE)


def mixed(first, second):
    a, b = torch.zeros(3).to(first), torch.zeros(3).to(second)
    b.copy_(a)
    assert float((a + torch.tensor(1.0)).sum()) == 3
    return a + b


def copied():
    """Copies between devices wait for what was launched on both."""
    a, b = torch.zeros(8).to("cuda:0") + 1, torch.zeros(8).to("cuda:1") + 1
    b.copy_(a)
    c = b.to("cuda:0") + a
    a.add_(1)
    b.add_(1)
    return c


def write(x):
    x.add_(1)


def read(x):
    return x.sum()


PROGRAMS = {
    "write, then read": partial(two_streams, write, read),
    "read, then write": partial(two_streams, read, write),
    "write, then write": partial(two_streams, write, write),
    "read, then read": partial(two_streams, read, read),
    "freed": freed,
    "freed, recorded": partial(freed, record=True),
    "freed, waited for": partial(freed, wait=True),
    "freed, read by the host": partial(freed, read=True),
    "copied": copied,
    "cuda and cpu": partial(mixed, "cuda", "cpu"),
    "cuda:0 and cuda:1": partial(mixed, "cuda", "cuda:1"),
    "cuda and cuda:0": partial(mixed, "cuda", "cuda:0"),
}


def seen_in(program, *arguments, **options):
    """The races that a program has, or its error."""
    with watched() as seen:
        try:
            program(*arguments, **options)
        except Exception as error:
            return [str(error)]
    return list(seen.races)


def certify_everywhere():
    for makers in NOISES.values():
        for make_noise in makers:
            certified(Certify, make_noise, Product, device=DEVICE)


def main():
    pretend()
    for plant in FAULTS:
        with plant():
            print(json.dumps([plant.__name__.replace("_", " "), seen_in(certify_everywhere)]))
    for name, program in PROGRAMS.items():
        found = seen_in(program, wait=False) if name.count(", then") else seen_in(program)
        print(json.dumps([name, found]))
        if name.count(", then"):
            print(json.dumps([f"{name}, after a wait", seen_in(program, wait=True)]))


if __name__ == "__main__":
    main()
