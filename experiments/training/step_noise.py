"""The noise of one training step: a function that an objective calls as often as it likes."""

from dataclasses import dataclass
from enum import IntEnum, unique

import numpy as np
import torch
from torch import Tensor

from smoothing import Noise, SettingError
from smoothing.streams import BlockSource


@unique
class Purpose(IntEnum):
    """What random numbers are drawn for. The numbers are part of what a seed means."""

    ORDER = 0
    READING = 1
    AUGMENTATION = 2
    NOISE = 3
    TEST = 4
    SECOND_NOISE = 5
    UNIFORM = 6


def key(seed: int, purpose: Purpose, epoch: int = 0, step: int = 0, k: int = 0) -> np.random.SeedSequence:
    """Key of random numbers of a training. It has four words, and a certificate's has three: no key is both."""
    return np.random.SeedSequence(seed, spawn_key=(purpose, epoch, step, k))


@dataclass(frozen=True)
class StepNoise:
    """`noise(x, purpose, k)` is x under the k-th noise of a purpose, drawn for one training step.

    With additive noise (Gaussian, uniform), noise(x, purpose, k) = x + delta(purpose, k), where

    - delta does not depend on x: it is the same at an image and at an adversarial example made from it;
    - delta is independent for different (purpose, k), for different inputs of the batch and for different steps;
    - the gradient with respect to x is the identity.

    Splitting noise draws split positions instead. They do not depend on x either, but the noisy input is piecewise
    constant in x, so it has no gradient: where one is asked for, the call raises. Splitting noise rounds x to the
    nearest k / levels, and is defined for x in [0, 1]: clamp an adversarial x first.

    The noise of the global batch is drawn whole, and each process takes its slice. So a loss does not depend on the
    number of processes.

    Args:
        law: the run's noise, from which each x is drawn; None with trainer.noisy=false, where noise(x) is x.
        seed: of the training.
        epoch: 0, 1, ...
        step: within the epoch, 0, 1, ...
        whole: inputs of the global batch.
        mine: which of them this process has: b of them.
    """

    law: Noise | None
    seed: int
    epoch: int
    step: int
    whole: int
    mine: slice

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, in the units of the input.

        Raises:
            SettingError: training is clean, or the noise has no sigma.
        """
        if self.law is None:
            raise SettingError("trainer.noisy: expected true, because the trainer's loss needs the noise's sigma")
        sigma: float | None = getattr(self.law, "sigma", None)
        if sigma is None:
            raise SettingError(
                f"noise: expected one with a sigma, which the trainer's loss needs, such as noise=gaussian; "
                f"{type(self.law).__name__} has none"
            )
        return sigma

    def __call__(self, x: Tensor, purpose: Purpose = Purpose.NOISE, k: int = 0) -> Tensor:
        """Noisy copies of inputs, one each: (b, *input shape) -> (b, *input shape).

        Args:
            x: what the model takes, or any other values of that shape, such as adversarial inputs.
            purpose: NOISE, or SECOND_NOISE for a copy that is independent of all of those.
            k: 0, 1, ...; another k is another, independent noise.

        Raises:
            SettingError: x is not of b inputs; a gradient with respect to x is wanted of a noise that has none.
        """
        if self.law is None:
            return x
        self._require_share(x)
        noisy = _noisy(x, self.law, key(self.seed, purpose, self.epoch, self.step, k), self.whole, self.mine)
        if torch.is_grad_enabled() and x.requires_grad and not noisy.requires_grad:
            raise SettingError(
                f"noise: {type(self.law).__name__} has no gradient with respect to its input, which this trainer "
                "takes; use noise=gaussian or noise=uniform"
            )
        return noisy

    def uniform_like(self, x: Tensor, k: int = 0) -> Tensor:
        """Numbers uniform on [0, 1), float32: (b, *shape) -> (b, *shape), for mixup or the start of an attack.

        They are a function of k and x's shape, and independent of every noise. Raises SettingError: x is not of b
        inputs.
        """
        self._require_share(x)
        source = BlockSource(key(self.seed, Purpose.UNIFORM, self.epoch, self.step, k), x.device)
        return source.uniform((self.whole, *x.shape[1:]))[self.mine]

    def _require_share(self, x: Tensor) -> None:
        b = self.mine.stop - self.mine.start
        if len(x) != b:
            raise SettingError(
                f"trainer: noise(x) expects the {b} inputs of a process, got {len(x)}; for more copies of each, call "
                "noise(x, k=0), noise(x, k=1), ..."
            )


def _noisy(x: Tensor, law: Noise, key: np.random.SeedSequence, whole: int, mine: slice) -> Tensor:
    """The inputs of one process, (b, *input shape), under their part of the noise of the whole batch."""
    batch = x.new_zeros(whole, *x.shape[1:])
    batch[mine] = x
    return law.sample_each(batch, BlockSource(key, x.device))[mine]
