"""A check of a noise that users may write: independent copies, from the source alone, and an input left as it is."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError, SmoothingWarning
from smoothing.noise.base import FiniteNoise, Noise

COPIES = ((2**14, 64), (2**18, 16))  # of each of three blocks, for inputs of at most so many numbers
TWO = 2  # of one block, for larger inputs, for which more would take much memory
DIFFERENT = 8  # different copies that a block must have before an equal block is suspicious
UNUSUAL = 4  # copies besides the most frequent one that a block must have before a pattern is suspicious
ROUNDING = 2.0**-20  # of a sum of two numbers of 1; sums of independent copies are rarely within CLOSE of 0
CLOSE = 1e-3


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
    if random and count > TWO:
        _require_independent(noise, x, [first, *(block(number, count).clone() for number in (1, 2))])


def require_same_copies(noise: FiniteNoise, xs: Tensor, copies_of_each: Callable[[Tensor], Tensor]) -> None:
    """Raise BaseFunctionError unless a finite noise gives inputs the same copies together as alone.

    Args:
        noise: the noise.
        xs: two inputs, (2, *shape).
        copies_of_each: the noise's own, (2, *shape) -> (2, steps, *shape).
    """
    alone = torch.stack([noise.copies(x, 0, noise.steps) for x in xs])
    if not _equal(alone, copies_of_each(xs)):
        raise BaseFunctionError(f"noise: {noise} gives other copies with copies_of_each than with copies")


def _require_independent(noise: Noise, x: Tensor, blocks: list[Tensor]) -> None:
    """Raise BaseFunctionError if the copies of three blocks, (count, *shape), show that they are not independent.

    Each pattern has to be in all three blocks. Independent copies have it with probability below 10^-6, also if they
    have few values: the largest is that of two equally probable values in blocks of 16.
    """
    first, *others = blocks
    numbers = _numbered(first)
    same, advice = all(_equal(first, other) for other in others), "draw random numbers of shape (count, *x.shape)"
    if len(set(numbers)) >= DIFFERENT and same:
        raise BaseFunctionError(f"noise: {noise} repeats its copies; take every random number from `source`")
    if len(set(numbers)) == 1 and not same and all(len(set(_numbered(other))) == 1 for other in others):
        raise BaseFunctionError(f"noise: {noise} repeats one copy {len(first)} times; {advice}")
    patterns = _patterns(numbers)
    for other in others:  # numbered only if the first block has a pattern
        patterns = patterns and patterns & _patterns(_numbered(other))
    if patterns:
        raise BaseFunctionError(f"noise: {noise} repeats copies within a block of {len(first)}; {advice}")
    if all(_mirrored(each, x) for each in blocks):
        raise BaseFunctionError(f"noise: {noise} draws pairs of copies whose mean is the input; {advice}")


def _patterns(numbers: list[int]) -> set[tuple[int, bool]]:
    """The ways in which copies, by their numbers, repeat others: each p-th one, or p neighbours (True)."""
    count = len(numbers)
    if count - max(map(numbers.count, numbers)) < UNUSUAL:  # such as those of noise that moves few inputs
        return set()
    found = {(p, False) for p in range(2, count // 2 + 1) if numbers[p:] == numbers[:-p]}
    return found | {
        (p, True) for p in range(2, count // 2 + 1) if all(numbers[i] == numbers[i - i % p] for i in range(count))
    }


def _mirrored(copies: Tensor, x: Tensor) -> bool:
    """Whether all copies differ, and half of them have another one opposite of x, up to rounding."""
    noise = (copies.double() - x.double()).reshape(len(copies), -1)
    size = noise.norm(dim=1)
    sizes = size + size[:, None]
    apart = (sizes.square() - 2 * (size * size[:, None] - noise @ noise.T)).clamp(min=0).sqrt()  # from -(the other)
    rounded = ROUNDING * (sizes + 2 * x.double().norm())
    opposite = (apart <= rounded.minimum(CLOSE * sizes)).fill_diagonal_(False)
    return bool(opposite.any(dim=1).sum() * 2 >= len(copies)) and len(set(_numbered(copies))) == len(copies)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether copies are the same. A hidden pixel is NaN."""
    return bool(torch.equal(a.nan_to_num(), b.nan_to_num()) and torch.equal(a.isnan(), b.isnan()))


def _numbered(copies: Tensor) -> list[int]:
    """A number for each copy of a block, equal for equal copies."""
    flat = copies.reshape(len(copies), -1)
    numbers: list[int] = (
        torch.cat([flat.nan_to_num(), flat.isnan().to(flat.dtype)], dim=1)
        .unique(dim=0, return_inverse=True)[1]
        .tolist()
    )
    return numbers
