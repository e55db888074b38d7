"""Whether the copies that a noise draws look independent: repeats, opposite pairs, and what a block has in common."""

import warnings

import scipy
import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError, SmoothingWarning
from smoothing.noise.base import FiniteNoise, Noise

DIFFERENT = 8  # different copies that a block must have before an equal block is suspicious
UNUSUAL = 4  # copies besides the most frequent one that a block must have before a pattern is suspicious
ROUNDING = 2.0**-20  # of a sum of two numbers of 1; sums of independent copies are rarely within CLOSE of 0
CLOSE = 1e-3
SIGNS = 6  # random sums and differences of all numbers
PLACES = 8  # single numbers
FALSE_ALARM = 1e-7  # of the test of what a block has in common
BITS = 100  # a copy of probability 2^-BITS is not drawn twice; it is that much because channels may share their noise


def require_independent(noise: Noise, x: Tensor, blocks: list[Tensor]) -> None:
    """Check that the copies of some blocks look independent. Warn if they seem to be taken from stored ones.

    A pattern within blocks has to be in the first three. Independent copies have it with probability below 10^-6, also
    if they have few values: the largest is that of two equally probable values in blocks of 16.

    Args:
        noise: the noise.
        x: the input, (*shape).
        blocks: the first copies of each of three or more blocks, (count, *shape).

    Raises:
        BaseFunctionError: the copies are not independent.
    """
    first, *others = three = blocks[:3]
    numbers = _numbered(first)
    same, advice = all(equal(first, other) for other in others), "draw random numbers of shape (count, *x.shape)"
    if len(set(numbers)) >= DIFFERENT and same:
        raise BaseFunctionError(f"noise: {noise} repeats its copies; take every random number from `source`")
    if len(set(numbers)) == 1 and not same and all(len(set(_numbered(other))) == 1 for other in others):
        raise BaseFunctionError(f"noise: {noise} repeats one copy {len(first)} times; {advice}")
    patterns = _patterns(numbers)
    for other in others:  # numbered only if the first block has a pattern
        patterns = patterns and patterns & _patterns(_numbered(other))
    if patterns:
        raise BaseFunctionError(f"noise: {noise} repeats copies within a block of {len(first)}; {advice}")
    if all(_mirrored(each, x) for each in three):
        raise BaseFunctionError(f"noise: {noise} draws pairs of copies whose mean is the input; {advice}")
    if _have_in_common(torch.stack([_features(each, x) for each in blocks]).cpu()):
        raise BaseFunctionError(
            f"noise: {noise} draws numbers that all {len(first)} copies of a block have in common; {advice}, "
            "or (count, 1, 1, 1) for one of each copy"
        )
    if noise.threat_norm in ("l1", "l2") and not isinstance(noise, FiniteNoise):
        _warn_if_stored(noise, x, torch.cat(blocks))


def _features(copies: Tensor, x: Tensor) -> Tensor:
    """A few numbers of each copy, (count, features): sums with signs, the size of the noise, and single numbers.

    Only their order matters. A hidden pixel counts as noise of 1.
    """
    noise = (copies.double() - x.double()).nan_to_num(1.0).reshape(len(copies), -1)
    numbers = noise.shape[1]
    signs = torch.randint(2, (numbers, SIGNS), generator=torch.Generator().manual_seed(0), dtype=noise.dtype) * 2 - 1
    sums = noise @ torch.cat([torch.ones_like(signs[:, :1]), signs], dim=1).to(noise.device)
    places = [k * numbers // PLACES for k in range(min(numbers, PLACES))]
    return torch.cat([sums, noise.norm(dim=1, keepdim=True), noise[:, places]], dim=1)


def _have_in_common(features: Tensor) -> bool:
    """Whether the copies of a block are too similar for independent ones: features (blocks, count, features).

    This is the test of Kruskal and Wallis for each feature. It uses the order of all copies alone, and the order of
    equal ones is random. So the probability of a false alarm is the same for every noise. The chi-squared distribution
    bounds it: in simulated cases the test rejected 0.1 to 0.9 times as often as its level.
    """
    blocks, count, tests = features.shape
    total = blocks * count
    shuffled = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    order = shuffled[features.flatten(0, 1)[shuffled].argsort(dim=0, stable=True)]
    ranks = torch.empty_like(features.flatten(0, 1)).scatter_(
        0, order, torch.arange(total, dtype=features.dtype)[:, None].expand(-1, tests)
    )
    means = ranks.view(blocks, count, tests).mean(dim=1) - (total - 1) / 2
    statistic = 12 * count / (total * (total + 1)) * means.square().sum(dim=0)
    return bool(statistic.max() > float(scipy.special.chdtri(blocks - 1, FALSE_ALARM / tests)))


def _warn_if_stored(noise: Noise, x: Tensor, copies: Tensor) -> None:
    """Warn if two copies, of (copies, *shape), are equal though that is impossible for independent numbers.

    A copy is as rare as the product of the frequencies of its numbers, each at its place. If the numbers are
    independent, two of N copies are equal and rarer than 2^-BITS with probability at most N^2 2^-BITS / 2, whatever the
    distribution: for a number of probability p that both have, the mean of p / frequency is at most 1.
    """
    flat = copies.reshape(len(copies), -1).nan_to_num()
    different, counts = flat.unique(dim=0, return_counts=True)
    repeated = (counts > 1) & (different != x.reshape(-1)).any(dim=1)  # the input itself is that of no noise
    if not repeated.any():
        return
    rarest = different[repeated][counts[repeated].argmin()]
    if float((flat == rarest).double().mean(dim=0).log2().sum()) < -BITS:
        warnings.warn(
            f"noise: two of {len(copies)} copies are equal: {noise}; if they are taken from stored ones, certificates "
            "may be false: draw new numbers from `source`, or write a FiniteNoise",
            SmoothingWarning,
            stacklevel=3,
        )


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


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether copies are the same. A hidden pixel is NaN."""
    return bool(torch.equal(a.nan_to_num(), b.nan_to_num()) and torch.equal(a.isnan(), b.isnan()))


def different(a: Tensor, b: Tensor) -> int:
    """How many copies differ, of two times (count, *shape). A hidden pixel is NaN."""
    same = (a == b) | (a.isnan() & b.isnan())
    return int((~same).flatten(1).any(dim=1).sum())


def _numbered(copies: Tensor) -> list[int]:
    """A number for each copy of a block, equal for equal copies."""
    flat = copies.reshape(len(copies), -1)
    numbers: list[int] = (
        torch.cat([flat.nan_to_num(), flat.isnan().to(flat.dtype)], dim=1)
        .unique(dim=0, return_inverse=True)[1]
        .tolist()
    )
    return numbers
