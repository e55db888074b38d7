"""Microseconds to draw 64 noisy copies, for every noise; of a finite noise, also the first 64 of all its copies."""

from collections.abc import Iterator

import torch

from experiments.benchmarks.gpu import cases
from experiments.benchmarks.measuring import seconds
from smoothing import FiniteNoise, Noise
from smoothing.cursor import Cursor
from smoothing.sampling import AllCopies, Samples, whole
from smoothing.streams import BLOCK, Stage, Stream

SHAPES = {(1, 28, 28): 4096, (3, 32, 32): 4096, (3, 224, 224): 256}  # with the copies in a batch
BATCHES = 10


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Time `BATCHES` batches of each, written into the same memory as the engine does. Tiny: for one shape."""
    for shape, usual in list(SHAPES.items())[: 1 if tiny else None]:
        copies = BLOCK if tiny else usual
        x = cases.image(shape, device)
        rows = x.new_empty(copies, *shape)
        blocks = BATCHES * copies / BLOCK
        for noise in cases.noises(shape):
            _draw(x, noise, rows, 2)
            taken = seconds(lambda noise=noise, x=x, rows=rows: _draw(x, noise, rows, BATCHES))  # type: ignore[misc]
            yield f"{shape}, {noise}: {1e6 * taken / blocks:.1f} us a block"
            if isinstance(noise, FiniteNoise):
                some = rows[: noise.steps]
                _in_order(x, noise, some)
                taken = seconds(lambda noise=noise, x=x, some=some: _in_order(x, noise, some))  # type: ignore[misc]
                each = 1e6 * taken * BLOCK / (BATCHES * len(some))
                yield f"{shape}, {noise}, in order: {each:.1f} us for 64 of {len(some)}"
        taken = seconds(lambda rows=rows: [rows.normal_() for _ in range(BATCHES)])  # type: ignore[misc]
        yield f"{shape}, normal numbers alone: {1e6 * taken / blocks:.1f} us a block"


def _draw(x: torch.Tensor, noise: Noise, rows: torch.Tensor, batches: int) -> None:
    cursor = Cursor(Samples(x, noise, whole, Stream(0, 0, Stage.ESTIMATION), batches * len(rows)))
    for _ in range(batches):
        cursor.write(rows)


def _in_order(x: torch.Tensor, noise: FiniteNoise, rows: torch.Tensor) -> None:
    for _ in range(BATCHES):
        Cursor(AllCopies(x, noise, whole)).write(rows)
