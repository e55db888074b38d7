"""The search for the batch size against a sweep of all candidates: the share of the best speed that it finds."""

import time
from collections.abc import Iterator
from functools import partial
from math import inf
from statistics import median

import torch

from experiments.benchmarks.classifiers import CIFAR, Make, ready
from experiments.benchmarks.gpu import FAILED
from experiments.benchmarks.measuring import seconds
from models.classifiers import ResNet50, ResNetCIFAR
from smoothing import BaseFunctionError
from smoothing.base_function import FrozenFunction
from smoothing.batch_size import CANDIDATES, fastest_batch_size
from smoothing.user_code import is_out_of_memory

ROUNDS, LEAST = 5, 0.9  # measurements of each size; the share of the best speed that the search must find


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Sweep after the search, for the networks whose speed counts."""
    candidates = CANDIDATES[:2] if tiny else CANDIDATES
    depth = 8 if tiny else 110
    networks: dict[str, tuple[Make, tuple[int, ...]]] = {
        f"ResNet-{depth}, 32 x 32": (partial(ResNetCIFAR, 10, 3, *CIFAR, depth=depth), (3, 32, 32))
    }
    if not tiny:
        networks["ResNet-50, 224 x 224"] = (partial(ResNet50, 1000, 3, *CIFAR), (3, 224, 224))
    for name, (make, shape) in networks.items():
        f, x = FrozenFunction(ready(make), "bfloat16"), torch.rand(shape, device=device)
        started = time.perf_counter()
        chosen = fastest_batch_size(f, x, 1 if tiny else inf)
        taken = time.perf_counter() - started
        rates = {size: rate for size in sorted({*candidates, chosen}) if (rate := _rate(f, x, size))}
        share = rates[chosen] / max(rates.values())
        yield f"{name}, bfloat16: " + ", ".join(f"{size}: {rate:.0f}/s" for size, rate in rates.items())
        wrong = FAILED if share < LEAST and not tiny else ""
        yield f"{wrong}{name}: the search chose {chosen} in {taken:.1f} s, {share:.0%} of the best speed"


def _rate(f: FrozenFunction, x: torch.Tensor, size: int) -> float:
    """Samples per second in batches of this size; 0 if memory does not suffice."""
    batch = x.expand(size, *x.shape).contiguous()
    try:
        f(batch)
        return size / median(seconds(lambda: f(batch)) for _ in range(ROUNDS))
    except BaseFunctionError as error:
        if not is_out_of_memory(error):
            raise
        torch.cuda.empty_cache()
        return 0.0
