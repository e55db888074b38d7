"""compiled=true in batches of 1024: CUDA graphs are used, outputs are those of the plain network, and the speed."""

import time
from collections.abc import Iterator

import torch

from experiments.benchmarks.classifiers import CIFAR, ready
from experiments.benchmarks.gpu import FAILED, cases
from experiments.benchmarks.gpu.intervals import CALLS, profiled
from experiments.benchmarks.gpu.works import works
from experiments.benchmarks.measuring import seconds
from models.classifiers import ResNetCIFAR
from smoothing import Gaussian
from smoothing.base_function import FrozenFunction

WAYS = False, True  # compiled or not
LARGE = 1  # networks that are compiled in bfloat16: the first of `works`
LARGEST = 1e-3  # difference of outputs, relative to the largest output
REPLAYED = "GraphLaunch"  # in the names of the runtime's calls that replay a CUDA graph


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Compare the outputs at several batches: a graph that writes into memory still in use would change some."""
    batch_size, count, depth = (64, 150, 8) if tiny else (1024, 20_480, 20)
    network = ready(lambda: ResNetCIFAR(10, 3, *CIFAR, depth=depth)).to(device)
    x, noise = cases.image((3, 32, 32), device), Gaussian(cases.SIGMA, grid=cases.LEVELS)
    plain, compiled = FrozenFunction(network), FrozenFunction(network, compiled=True)
    expected = cases.by_engine(plain, noise, x, count, batch_size)
    started = time.perf_counter()
    found = cases.by_engine(compiled, noise, x, count, batch_size)
    yield f"compilation and {count} samples: {time.perf_counter() - started:.1f} s"
    if not compiled.arithmetic()["compiled"]:
        yield f"{FAILED}the compiled copy was not used: {compiled.arithmetic()}"
    difference = float((found - expected).abs().max() / expected.abs().max())
    yield f"{FAILED if not difference <= LARGEST else ''}outputs differ by up to {difference:.1e} of the largest"
    rates = []
    for f in (plain, compiled):
        taken = seconds(lambda f=f: cases.by_engine(f, noise, x, count, batch_size))  # type: ignore[misc]
        rates.append(count / taken)
    yield f"ResNet-{depth}, float32, batches of {batch_size}: {rates[0]:.0f}/s plain, {rates[1]:.0f}/s compiled"
    yield from _large(device, tiny)
    if device.type == "cuda":
        calls = profiled(lambda: cases.by_engine(compiled, noise, x, count, batch_size), device, CALLS)
        replays = sum(REPLAYED in call.name for call in calls)
        yield f"{'' if replays else FAILED}{replays} replays of a CUDA graph"


def _large(device: torch.device, tiny: bool) -> Iterator[str]:
    """The speed of larger networks in bfloat16, at their usual batch size on a GPU."""
    for work in works(tiny)[: 1 if tiny else LARGE]:
        batch_size, batches = (4, 2) if tiny else (1024, 10)
        network, x = work.network().to(device), cases.image(work.shape, device)
        plain, compiled = (_speed(FrozenFunction(network, "bfloat16", way), x, batch_size, batches) for way in WAYS)
        yield f"{work.name}, bfloat16, batches of {batch_size}: {plain} plain, {compiled} compiled"


def _speed(f: FrozenFunction, x: torch.Tensor, batch_size: int, batches: int) -> str:
    noise = Gaussian(cases.SIGMA, grid=cases.LEVELS)
    first = seconds(lambda: cases.by_engine(f, noise, x, batch_size, batch_size))
    taken = seconds(lambda: cases.by_engine(f, noise, x, batches * batch_size, batch_size))
    return f"{batches * batch_size / taken:.0f}/s (after {first:.1f} s)"
