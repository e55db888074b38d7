"""Samples per second in bfloat16, as a share of the network's bare forward passes, and against the targets."""

from collections.abc import Iterator
from math import inf
from statistics import median

import torch

from experiments.benchmarks.gpu import FAILED
from experiments.benchmarks.gpu.works import Work, works
from experiments.benchmarks.measuring import seconds
from smoothing.base_function import FrozenFunction
from smoothing.batch_size import fastest_batch_size

ROUNDS = 3
TARGETED = ("H100", "H200")  # in the names of the GPUs that the targets are for


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Time both sides alternately, after each has run once, at the batch size that the search finds."""
    targeted = device.type == "cuda" and any(name in torch.cuda.get_device_name(device) for name in TARGETED)
    for work in works(tiny):
        yield _speed(work, device, tiny, targeted)


def _speed(work: Work, device: torch.device, tiny: bool, targeted: bool) -> str:
    x = torch.rand(work.shape, device=device)
    batch_size = fastest_batch_size(FrozenFunction(work.network(), "bfloat16"), x, 1 if tiny else inf)
    sides = work.ours("bfloat16", batch_size), work.bare("bfloat16", batch_size)
    for side in sides:
        side()
    rounds = [[seconds(side) for side in sides] for _ in range(1 if tiny else ROUNDS)]
    rate = work.samples / median(ours for ours, _ in rounds)
    share = median(bare / ours for ours, bare in rounds)
    line = f"{work.name}: {rate:.0f}/s in bfloat16, {share:.0%} of bare forward passes, batches of {batch_size}"
    if work.target and targeted:
        return (
            f"{line}; target {work.target}/s reached"
            if rate >= work.target
            else f"{FAILED}{line}; target {work.target}/s missed"
        )
    return line
