"""A check of a noise that users may write: independent copies, from the source alone, and an input left as it is."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError, SmoothingWarning
from smoothing.noise.base import Noise

COPIES = ((2**14, 64), (2**18, 16))  # of each of three blocks, for inputs of at most so many numbers
TWO = 2  # of one block, for larger inputs, for which more would take much memory
DIFFERENT = 8  # different copies that a block must have before an equal block is suspicious


def require_sound(noise: Noise, x: Tensor, block: Callable[[int, int], Tensor], random: bool) -> None:
    """Check what every certificate relies on, and warn if all copies are the input itself.

    A certificate takes the copies of an input for independent samples, and a resumed run for the same ones. A noise may
    still be wrong in ways that few copies do not show. Of large inputs, only two copies are drawn twice.

    Args:
        noise: the noise, for messages.
        x: the input, (*shape).
        block: (number, count) -> the first `count` copies of the block with this number, (count, *shape), from its
            beginning.
        random: whether blocks have independent copies. Those of a finite noise are enumerated.

    Raises:
        BaseFunctionError: the copies are no independent samples, or the input is changed.
    """
    count = next((copies for largest, copies in COPIES if x.numel() <= largest), TWO)
    before = x.clone()
    first, again = block(0, count).clone(), block(0, count).clone()
    if not torch.equal(x, before):
        raise BaseFunctionError(f"noise: {noise} changes its input in place; compute with a new tensor, such as x + 0")
    if not _equal(first, again):
        raise BaseFunctionError(
            f"noise: {noise} gives other copies when it is asked again; take every random number from `source`"
        )
    if random and _equal(first, x.expand_as(first)):
        warnings.warn(
            f"noise: the copies that were drawn all equal the input: {noise}; is sigma too small, or is the noise "
            "forgotten?",
            SmoothingWarning,
            stacklevel=2,
        )
    if not random or count == TWO:
        return
    others = [block(number, count).clone() for number in (1, 2)]
    if _different(first) >= DIFFERENT and all(_equal(first, other) for other in others):
        raise BaseFunctionError(f"noise: {noise} repeats its copies; take every random number from `source`")
    blocks = [first, *others]
    if all(_different(each) == 1 for each in blocks) and not all(_equal(first, other) for other in others):
        raise BaseFunctionError(
            f"noise: {noise} repeats one copy {count} times; draw random numbers of shape (count, *x.shape)"
        )


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether copies are the same. A hidden pixel is NaN."""
    return bool(torch.equal(a.nan_to_num(), b.nan_to_num()) and torch.equal(a.isnan(), b.isnan()))


def _different(copies: Tensor) -> int:
    """The number of different copies in a block."""
    flat = copies.flatten(1)
    return len(torch.cat([flat.nan_to_num(), flat.isnan().to(flat.dtype)], dim=1).unique(dim=0))
