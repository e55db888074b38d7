"""The engine's two streams against a loop on one stream: the outputs at 20,000 samples, and so the votes, are equal."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.gpu import FAILED, cases
from smoothing.base_function import FrozenFunction
from smoothing.votes import Votes


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Compare them to the last bit under every noise, for a batch size that divides blocks and one that does not."""
    shape, count = (3, 32, 32), 300 if tiny else 20_000
    f = FrozenFunction(cases.convolutions(shape).to(device))
    x = cases.image(shape, device)
    for noise in cases.noises(shape):
        for batch_size in (100,) if tiny else (512, 500):
            found, expected = (way(f, noise, x, count, batch_size) for way in (cases.by_engine, cases.by_loop))
            differ = (found != expected).any(dim=1).nonzero()
            if len(differ):
                yield f"{FAILED}{noise}, batches of {batch_size}: {len(differ)} outputs differ, first {int(differ[0])}"
            votes = Votes()(found)[:-1].tolist()
            yield f"{noise}, batches of {batch_size}: votes {votes}"
