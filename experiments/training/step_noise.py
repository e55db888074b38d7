"""The noise of one training step, which an objective may draw any number of times."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum, unique
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from smoothing import Noise, SettingError
from smoothing.noise.base import describes
from smoothing.streams import BlockSource


@unique
class Purpose(IntEnum):
    """The use of random numbers. Changing these values would change the results of every seed."""

    ORDER = 0
    READING = 1
    AUGMENTATION = 2
    NOISE = 3
    TEST = 4
    SECOND_NOISE = 5
    UNIFORM = 6


def key(seed: int, purpose: Purpose, epoch: int = 0, step: int = 0, k: int = 0) -> np.random.SeedSequence:
    """Key of random numbers in training. It has four words and keys of certification three, so they never coincide."""
    return np.random.SeedSequence(seed, spawn_key=(purpose, epoch, step, k))


@dataclass(frozen=True)
class StepNoise:
    """The noise of one training step: `noise(x, purpose, k)` is x with the k-th noise for a purpose.

    With additive noise (Gaussian, uniform), noise(x, purpose, k) = x + delta(purpose, k), where

    - delta does not depend on x: it is the same for an image and for an adversarial example made from it;
    - delta is independent for different (purpose, k), for different inputs of the batch and for different steps;
    - the gradient with respect to x is the identity.

    Splitting noise draws split positions instead. They do not depend on x either. The noisy input is piecewise constant
    in x, so it has no gradient, and the call raises an error if x requires one. Splitting noise rounds x to the nearest
    k / levels and is defined for x in [0, 1]: clamp an adversarial x first.

    Each process draws the noise of the whole global batch and uses its own slice, so losses do not depend on the number
    of processes.

    Args:
        law: the run's noise; None with trainer.noisy=false, where noise(x) is x.
        seed: seed of the training.
        epoch: 0, 1, ...
        step: 0, 1, ... within the epoch.
        whole: number of inputs in the global batch.
        mine: the slice of the global batch that belongs to this process, b inputs.
        source: gives the random numbers of (this noise, a purpose, k, a device).
    """

    law: Noise | None
    seed: int
    epoch: int
    step: int
    whole: int
    mine: slice
    source: "Callable[[StepNoise, Purpose, int, torch.device], BlockSource]" = field(
        default=lambda noise, purpose, k, device: BlockSource(noise.key(purpose, k), device), repr=False
    )
    _kept: dict[Any, Tensor] | None = field(default=None, repr=False)

    def drawn_once(self) -> Self:
        """The same noise, which keeps what it adds, for an attack that needs it again in each of its steps.

        If the noise is not `additive`, it is drawn again each time.
        """
        law = self.law
        kept = law is not None and law.additive and describes(law, "additive", "sample", "sample_each")
        return replace(self, _kept={}) if kept else self

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, in the units of the input.

        Raises:
            SettingError: training is on clean images, or the noise has no sigma.
        """
        if self.law is None:
            raise SettingError("trainer.noisy: expected true, because the trainer's loss uses the noise's sigma")
        sigma: float | None = getattr(self.law, "sigma", None)
        if sigma is None:
            raise SettingError(
                f"noise: expected a noise with a sigma, such as noise=gaussian, because the trainer's loss uses it; "
                f"got {type(self.law).__name__}"
            )
        return sigma

    def __call__(self, x: Tensor, purpose: Purpose = Purpose.NOISE, k: int = 0) -> Tensor:
        """One noisy copy of each input: (b, *input shape) -> (b, *input shape).

        Args:
            x: inputs of the model, or other values of that shape, such as adversarial inputs.
            purpose: NOISE, or SECOND_NOISE, which is independent of NOISE.
            k: 0, 1, ...; noises with different k are independent.

        Raises:
            SettingError: x does not hold b inputs, or x requires a gradient and the noise has none.
        """
        if self.law is None:
            return x
        self._require_share(x)
        if self._kept is not None:
            name = purpose, k, x.shape, x.dtype
            if name not in self._kept:
                self._kept[name] = replace(self, _kept=None)(torch.zeros_like(x), purpose, k)
            return x + self._kept[name]
        noisy = _noisy(x, self.law, self.source(self, purpose, k, x.device), self.whole, self.mine)
        if torch.is_grad_enabled() and x.requires_grad and not noisy.requires_grad:
            raise SettingError(
                f"noise: {type(self.law).__name__} has no gradient with respect to its input, which this trainer "
                "needs; use noise=gaussian or noise=uniform"
            )
        return noisy

    def uniform_like(self, x: Tensor, k: int = 0) -> Tensor:
        """Uniform random numbers in [0, 1), float32: (b, *shape) -> (b, *shape), for mixup or the start of an attack.

        They depend on k and the shape of x only, and are independent of all noise. Raises SettingError if x does not
        hold b inputs.
        """
        self._require_share(x)
        return self.source(self, Purpose.UNIFORM, k, x.device).uniform((self.whole, *x.shape[1:]))[self.mine]

    def key(self, purpose: Purpose, k: int) -> np.random.SeedSequence:
        """The key of a draw."""
        return key(self.seed, purpose, self.epoch, self.step, k)

    def _require_share(self, x: Tensor) -> None:
        b = self.mine.stop - self.mine.start
        if len(x) != b:
            raise SettingError(
                f"trainer: noise(x) expected the {b} inputs of a process, got {len(x)}; for more copies of each, call "
                "noise(x, k=0), noise(x, k=1), ..."
            )


def _noisy(x: Tensor, law: Noise, source: BlockSource, whole: int, mine: slice) -> Tensor:
    """The inputs of one process, (b, *input shape), with their slice of the noise of the whole batch."""
    if len(x) == whole:
        return law.sample_each(x, source)
    batch = x.new_zeros(whole, *x.shape[1:])
    batch[mine] = x
    return law.sample_each(batch, source)[mine]
