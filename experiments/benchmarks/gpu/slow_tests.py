"""The slow tests marked gpu."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.gpu.marked_tests import tested


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Run them as `marked_tests` runs the others."""
    yield from tested("gpu and slow", tiny)
