"""Profiles: the GPU's idle share, how much of its time two kernels share, and the kernels that take most of it."""

from collections import Counter
from collections.abc import Iterator

import torch

from experiments.benchmarks.gpu import FAILED
from experiments.benchmarks.gpu.intervals import covered, idle_share, profiled
from experiments.benchmarks.gpu.works import sized, works

SHOWN = 6  # kernels


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Profile each work once, in bfloat16, after it has run once. Profiling itself may slow the CPU down."""
    for work in works(tiny):
        ours = work.ours("bfloat16", sized(work, device))
        ours()
        kernels = profiled(ours, device)
        if not kernels:
            yield f"{FAILED}{work.name}: the profile has no kernels"
            continue
        intervals = [(kernel.begin, kernel.end) for kernel in kernels]
        each = Counter[str]()
        for kernel in kernels:
            each[kernel.name] += kernel.end - kernel.begin  # type: ignore[assignment]
        total = sum(each.values())
        yield (
            f"{work.name}, bfloat16, batches of {sized(work, device)}: idle {idle_share(intervals):.1%}; "
            f"{1 - covered(intervals) / total:.1%} of {total / 1e6:.2f} s of kernels beside another one; "
            f"{len({kernel.stream for kernel in kernels})} streams"
        )
        for name, taken in each.most_common(SHOWN):
            yield f"    {taken / total:6.1%} {name[:100]}"
