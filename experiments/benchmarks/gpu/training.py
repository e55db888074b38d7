"""Images per second of every trainer of LeNet, as a share of a bare loop with the same passes."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.measuring import Measured, seconds
from experiments.benchmarks.training import PASSES, TrainingSpeed, bare_epoch, our_epoch

ROUNDS = 2


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Time both sides alternately, in one process, after each has run once. Tiny: one trainer, one round."""
    for method in ["gaussian"] if tiny else PASSES:
        sides = our_epoch(method), bare_epoch(method)
        for side in sides:
            side()
        rounds = [[seconds(side) for side in sides] for _ in range(1 if tiny else ROUNDS)]
        ours, bare = (list(column) for column in zip(*rounds, strict=True))
        yield str(TrainingSpeed(method, Measured(ours, 0.0), Measured(bare, 0.0)))
