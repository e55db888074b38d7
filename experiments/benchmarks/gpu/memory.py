"""Votes while 90 % of the GPU's memory is taken: the search stops in time, and votes have the same law."""

from collections.abc import Iterator
from functools import partial

import torch

from experiments.benchmarks.classifiers import CIFAR, ready
from experiments.benchmarks.gpu import SKIPPED, cases
from experiments.benchmarks.gpu.same_law import compared, p_of_counts
from models.classifiers import ResNet50, ResNetCIFAR
from smoothing import Gaussian, SmoothedClassifier
from smoothing.streams import Stage

TAKEN = 0.9


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Count votes with a free GPU and with a full one, at a batch size that is searched for each."""
    make = partial(ResNetCIFAR, 10, 3, *CIFAR, depth=8) if tiny else partial(ResNet50, 1000, 3, *CIFAR)
    shape, n = ((3, 32, 32), 200) if tiny else ((3, 224, 224), 5000)
    x = cases.image(shape, device)
    votes = []
    for seed, share in enumerate((0.0, TAKEN)):
        held = _take(device, share)
        network = ready(make).to(device)
        g = SmoothedClassifier(network, Gaussian(cases.SIGMA), seed=seed, batch_size=None, precision="bfloat16")
        size = g.engine.tune(x, 100 if tiny else n * 100)
        votes.append(g.votes(x, n, 0, Stage.ESTIMATION).numpy())
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
        yield f"{share:.0%} taken: batches of {size}, peak {peak:.1f} GiB"
        del held, network, g
        if device.type == "cuda":
            torch.cuda.empty_cache()
    yield from compared({"votes in little memory": p_of_counts(*votes)})
    if device.type != "cuda":
        yield f"{SKIPPED}needs a GPU's memory"


def _take(device: torch.device, share: float) -> torch.Tensor:
    """Memory that leaves 1 - share of the GPU's."""
    if device.type != "cuda" or not share:
        return torch.empty(0)
    free, total = torch.cuda.mem_get_info(device)
    return torch.empty(max(0, int(free - (1 - share) * total)), dtype=torch.uint8, device=device)
