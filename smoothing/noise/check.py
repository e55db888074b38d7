"""A check of a noise that users may write: independent copies, from the source alone, and an input left as it is."""

import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from math import ceil, inf

import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError, SettingError, SmoothingWarning
from smoothing.noise.base import FiniteNoise, Noise
from smoothing.noise.independence import different, equal, require_independent

COPIES = ((2**12, 64, 11), (2**14, 64, 3), (2**18, 16, 3))  # for inputs of at most so many numbers: copies, and blocks
COMPARED, COMPARED_EVERY = 4, 32  # the first batches, and later ones, whose copies are compared
AFFECTED = 2**21  # numbers of all noisy inputs, at most, of which those that differ are counted
SLACK = 1e-6  # a change is rounded up to a grid step
TWO = (2, 1)  # for larger inputs, for which more would take much memory


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
    count, blocks = next((found for largest, *found in COPIES if x.numel() <= largest), TWO)
    before = x.clone()
    first, again = block(0, count).clone(), block(0, count).clone()
    if not torch.equal(x, before):
        raise BaseFunctionError(f"noise: {noise} changes its input in place; compute with a new tensor, such as x + 0")
    if not equal(first, again):
        raise BaseFunctionError(
            f"noise: {noise} gives other copies when it is asked again; take every random number from `source`"
        )
    if random and equal(first, x.expand_as(first)):
        warnings.warn(
            f"noise: the copies that were drawn all equal the input: {noise}; is sigma too small, or is the noise "
            "forgotten?",
            SmoothingWarning,
            stacklevel=2,
        )
    if random and blocks > 1:
        require_independent(noise, x, [first, *(block(number, count).clone() for number in range(1, blocks))])


def require_affected(noise: FiniteNoise, x: Tensor) -> None:
    """Check that `affected` is no less than the noisy inputs that differ where one number of the input changes.

    The other value is one that x has elsewhere, twice: one that is near, and one that is far. The check is left out for
    a constant input, for many noisy inputs, and where the threat is not l1, l2, l0 or a patch.

    Args:
        noise: the noise.
        x: the input, (*shape).

    Raises:
        BaseFunctionError: more noisy inputs differ.
    """
    values = x.roll(1).flatten()
    change = (values.double() - x.flatten().double()).abs().nan_to_num(0.0)
    if noise.threat_norm not in ("l1", "l2", "l0", "patch") or noise.steps * x.numel() > AFFECTED or not change.any():
        return
    copies = noise.copies(x, 0, noise.steps).clone()
    for place in {int(change.argmax()), int(change.where(change > 0, inf).argmin())}:
        other = x.flatten().clone()
        other[place] = values[place]
        with suppress(SettingError):  # not such an input as the noise covers
            noise.require(other.view(x.shape))
            whole = noise.threat_norm in ("l0", "patch")
            eps = 1.0 if whole else ceil(float(change[place]) * noise.levels * (1 + SLACK) + SLACK) / noise.levels
            differ = different(copies, noise.copies(other.view(x.shape), 0, noise.steps))
            if differ > (declared := noise.affected(eps)):
                raise BaseFunctionError(
                    f"noise: affected({eps:g}) of {noise} gives {declared}, but {differ} of its noisy inputs differ "
                    "where one number of the input changes; exact certificates would be false"
                )


class SameCopies:
    """Compares the copies that a finite noise makes of several inputs together with those of each input alone.

    It does so in the first few batches and then in every 32nd, because the host waits for the device to compare. One
    object belongs to one engine, which evaluates a batch of one thread at a time.
    """

    def __init__(self) -> None:
        self._batches: Counter[int] = Counter()

    def require(self, noise: FiniteNoise, xs: Tensor, together: Tensor) -> None:
        """Check the copies of a batch, if it is its turn. Raises BaseFunctionError as `require_same_copies`."""
        batch = self._batches[id(noise)]
        self._batches[id(noise)] += 1
        if batch < COMPARED or batch % COMPARED_EVERY == 0:
            require_same_copies(noise, xs, together)


def require_same_copies(noise: FiniteNoise, xs: Tensor, together: Tensor) -> None:
    """Raise BaseFunctionError unless a finite noise gives inputs the same copies together as alone.

    Args:
        noise: the noise.
        xs: inputs, (b, *shape). If they are equal, a noise that mixes them goes unnoticed.
        together: its `copies_of_each` of them, (b, steps, *shape).
    """
    alone = torch.stack([noise.copies(x, 0, noise.steps) for x in xs])
    if not equal(alone, together):
        raise BaseFunctionError(f"noise: {noise} gives other copies with copies_of_each than with copies")
