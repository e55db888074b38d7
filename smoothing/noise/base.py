"""What depends on the smoothing distribution alone: one algebra for every certificate."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor

from smoothing.streams import BlockSource


class Noise(ABC):
    """A smoothing distribution and the one fact that every certificate needs of it.

    If an event has probability at least p under the noise at x, then at every x' with ||x - x'|| <= eps, in
    `threat_norm`, it has probability at least `shift(p, eps)`; `mass` is the inverse of that.
    """

    threat_norm: ClassVar[str]
    grid: int | None = None  # noisy inputs are multiples of 1 / grid, where there is one
    tv: float = 0.0  # bound on the total variation distance of what is drawn from the law that theorems are about

    @abstractmethod
    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        """The next `count` noisy copies of x: (*shape) -> (count, *shape), same dtype and device.

        Called again with the same source for the next copies of a large input (`sampling.together`).
        """

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        """One noisy copy of each of b inputs, as training takes them: (b, *shape) -> (b, *shape)."""
        return self.sample(x, 1, source)[0]

    def require(self, x: Tensor) -> None:  # noqa: B027 - most noises certify any input
        """Raise SettingError where x, (*shape), is no input that certificates under this noise are about."""

    @abstractmethod
    def shift(self, p: float, eps: float) -> float:
        """Least probability, within eps, of an event of probability p at x. In [0, 1], rounded down."""

    @abstractmethod
    def mass(self, p0: float, eps: float) -> float:
        """Probability an event needs at x so that at least p0 remains within eps. In [0, 1], rounded up.

        1.0 where only certain events keep p0: no number of samples can then show enough.
        """

    @abstractmethod
    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """Radius within which class A stays the most probable one, in `threat_norm`, rounded down.

        Args:
            p_a: lower bound on the probability of class A at x.
            p_b: upper bound on that of every other class; 1 - p_a where not given.

        Returns:
            A number of at least 0; 0 unless p_a > p_b.
        """

    def state(self) -> dict[str, Any]:
        """What belongs to a smoothed function beside the settings, for JSON: kept with weights and results."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027 - most noises are their settings
        """Put a `state` back. Raises SettingError where it is not one of this noise."""


class FiniteNoise(Noise):
    """A smoothing distribution on finitely many, equally probable noisy inputs: probabilities are known, not estimated.

    Attributes:
        steps: how many they are.
        levels: an input's values are k / levels, and so are distances and radii.
    """

    steps: int
    levels: int

    @abstractmethod
    def copies(self, x: Tensor, first: int, count: int) -> Tensor:
        """Noisy copies number first, ..., first + count - 1 <= steps - 1 of x: (*shape) -> (count, *shape)."""

    def enumerate(self, x: Tensor, batch_size: int) -> Iterator[Tensor]:
        """All noisy copies of x, (*shape), in batches (b, *shape), b <= batch_size. Raises as `require`."""
        self.require(x)
        for first in range(0, self.steps, batch_size):
            yield self.copies(x, first, min(batch_size, self.steps - first))
