"""Outputs of the base function under noise, in batches, on the input's device."""

from collections.abc import Iterator

import torch
from torch import Tensor

from smoothing.base_function import FrozenFunction
from smoothing.noise import FiniteNoise, Noise
from smoothing.streams import BLOCK, Stream


def noisy_inputs(x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int) -> Iterator[Tensor]:
    """`count` noisy copies of x, (*shape), as batches (b, *shape) with b <= batch_size.

    The samples depend on the stream alone: another batch size cuts the same samples elsewhere. Raises SettingError
    where certificates under the noise are not about such inputs as x.
    """
    noise.require(x)
    held: list[Tensor] = []
    for first in range(0, count, BLOCK):
        held.append(noise.sample(x, BLOCK, stream.block(first // BLOCK, x.device))[: count - first])
        if sum(map(len, held)) >= batch_size or first + BLOCK >= count:
            *batches, rest = torch.cat(held).split(batch_size)
            yield from batches
            held = [rest]
            if len(rest) == batch_size:
                yield rest
                held = []
    yield from held


def noisy_outputs(
    f: FrozenFunction, x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int
) -> Iterator[Tensor]:
    """F at `count` noisy copies of x, as batches (b, *output shape) with b <= batch_size."""
    for batch in noisy_inputs(x, noise, count, stream, batch_size):
        f.probe(batch)
        yield f(batch)


def all_noisy_outputs(f: FrozenFunction, x: Tensor, noise: FiniteNoise, batch_size: int) -> Iterator[Tensor]:
    """F at every noisy copy of x that there is, as batches (b, *output shape) with b <= batch_size."""
    for batch in noise.enumerate(x, batch_size):
        f.probe(batch)
        yield f(batch)
