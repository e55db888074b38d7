"""The interface of a smoothing distribution: every certificate uses a noise through these methods alone."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError
from smoothing.fixed import Fixed
from smoothing.streams import BlockSource


def describes(noise: object, name: str, *methods: str) -> bool:
    """Whether an attribute of a noise is about the methods that it has now.

    A class may inherit the attribute and have methods of its own, or of another parent. Then it is about other methods.

    Args:
        noise: the noise.
        name: the attribute, such as "rowwise".
        methods: the methods that it describes, such as "sample".
    """
    places = [getattr(noise, "__dict__", {}), *map(vars, type(noise).__mro__)]  # in the order of look-up
    first = {each: next(k for k, place in enumerate(places) if each in place) for each in (name, *methods)}
    return all(first[name] <= first[method] for method in methods)


class Noise(Fixed):
    """A smoothing distribution, with the one fact that certificates need about it.

    If an event has probability at least p under the noise at x, then it has probability at least `shift(p, eps)` at
    every x' with ||x - x'|| <= eps in `threat_norm`. `mass` is the inverse of `shift` in p. For N(0, sigma^2 I), for
    example, shift(p, eps) = Phi(Phi^-1(p) - eps / sigma).

    Attributes:
        threat_norm: the perturbations that certificates are about: "l2", "l1", "l0", "patch", or a name of your own.
        radius_units: units of input radii, such as "pixels"; empty for those of the inputs' numbers.
        rowwise: whether `sample` makes each copy from its own row of the numbers that it draws, with `count` rows each
            time. Then the copies of several blocks are drawn together, which is faster.
        additive: whether `sample_each` adds numbers to x that do not depend on x. Then attacks in training draw them
            once.
        grid: noisy inputs are multiples of 1 / grid; None if they are not rounded.
        tv: upper bound on the total variation distance between the noisy inputs as drawn and the exact distribution.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> from smoothing.streams import Stage, Stream
        >>> noise, x = Gaussian(sigma=0.5), torch.zeros(3)
        >>> source = Stream(seed=0, example=0, stage=Stage.CERTIFICATION).block(0, x.device)
        >>> noise.sample(x, 4, source).shape
        torch.Size([4, 3])
        >>> round(noise.shift(0.9, eps=0.25), 4)  # an event of probability 0.9 at x
        0.7828
        >>> round(noise.mass(noise.shift(0.9, eps=0.25), eps=0.25), 4)
        0.9
    """

    _fixed = ("tv", "lam", "steps")
    threat_norm: ClassVar[str]
    radius_units: ClassVar[str] = ""
    rowwise: ClassVar[bool] = False
    additive: ClassVar[bool] = False
    grid: int | None = None
    tv: float = 0.0

    @abstractmethod
    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        """The next `count` noisy copies of x: (*shape) -> (count, *shape), of x's dtype and on its device.

        For a large input, it is called several times with the same source, for a few copies each (`blocks.piece_size`).
        """

    def around(self, x: Tensor) -> Callable[[int, BlockSource], Tensor]:
        """`sample` for one x: a function of `count` and `source`. Override both if x takes work that is done once."""
        return partial(self.sample, x)

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        """One noisy copy of each of b inputs, for training: (b, *shape) -> (b, *shape)."""
        return self.sample(x, 1, source)[0]

    def require(self, x: Tensor) -> None:
        """Raise SettingError unless certificates under this noise cover such inputs as x, (*shape)."""

    def require_each(self, xs: Tensor) -> None:
        """`require` for each of b inputs, (b, *shape). Override both if one check of all inputs is faster."""
        for x in xs:
            self.require(x)

    @abstractmethod
    def shift(self, p: float, eps: float) -> float:
        """The least probability, at any x' within eps, of an event with probability p at x. In [0, 1], rounded down."""

    @abstractmethod
    def mass(self, p0: float, eps: float) -> float:
        """The probability that an event needs at x to have at least p0 at every x' within eps. In [0, 1], rounded up.

        If it is 1.0, only certain events suffice. Then no number of samples can show enough.
        """

    @abstractmethod
    def radius(self, p_a: float, p_b: float | None = None) -> float:
        """The certified radius in `threat_norm`: class A is the most probable class within it. Rounded down.

        Args:
            p_a: lower bound on the probability of class A at x.
            p_b: upper bound on the probability of every other class at x; 1 - p_a if not given.

        Returns:
            A number of at least 0, in the units of x; 0 unless p_a > p_b.
        """

    def state(self) -> dict[str, Any]:
        """What defines the noise besides its settings, for JSON. It is stored with weights and results."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a `state`. Raises SettingError if it belongs to another noise."""

    def __repr__(self) -> str:
        sigma = getattr(self, "sigma", None)
        return f"{type(self).__name__}({'' if sigma is None else f'sigma={sigma}'})"


class FiniteNoise(Noise):
    """A smoothing distribution on finitely many, equally probable noisy inputs: probabilities are computed exactly.

    Exact certificates need one fact about it: at most `affected(eps)` of the noisy inputs at x differ from those with
    the same numbers at any x' within eps. `reach` is the inverse.

    Attributes:
        steps: the number of noisy inputs.
        levels: grid steps per unit: radii are multiples of 1 / levels.

    Examples:
        >>> import torch
        >>> from smoothing import DeterministicSplitting
        >>> noise = DeterministicSplitting(sigma=0.5, levels=16, shape=(3,))
        >>> noise.steps, [len(batch) for batch in noise.enumerate(torch.zeros(3), batch_size=20)]
        (27, [20, 7])
        >>> noise.affected(0.25), noise.reach(4)
        (4, 0.25)
    """

    steps: int
    levels: int

    @abstractmethod
    def copies(self, x: Tensor, first: int, count: int) -> Tensor:
        """The noisy copies number first, ..., first + count - 1 of x, counted from 0: (*shape) -> (count, *shape)."""

    def copies_of_each(self, xs: Tensor) -> Tensor:
        """All noisy copies of each of b inputs: (b, *shape) -> (b, steps, *shape).

        Override both this and `copies` if the copies of all inputs can be made together, which is faster.
        """
        return torch.stack([self.copies(x, 0, self.steps) for x in xs])

    @abstractmethod
    def affected(self, eps: float) -> int:
        """The most noisy inputs that differ between x and an x' within eps. It does not fall with eps; 0 for eps = 0.

        More than `steps` is as good as `steps`: all may differ.
        """

    @abstractmethod
    def reach(self, count: int) -> float:
        """The largest radius with affected(radius) <= count, for a count of 0 to steps - 1."""

    def enumerate(self, x: Tensor, batch_size: int) -> Iterator[Tensor]:
        """All noisy copies of x, (*shape), in contiguous batches (b, *shape), b <= batch_size. Raises as `require`."""
        self.require(x)
        for first in range(0, self.steps, batch_size):
            count = min(batch_size, self.steps - first)
            yield require_copies(self.copies(x, first, count), x, (count,), self).contiguous()


def require_copies(copies: Tensor, x: Tensor, count: tuple[int, ...], noise: Noise) -> Tensor:
    """The noisy copies that a noise returned. Fewer, or one for all, would be counted as independent samples.

    Args:
        copies: what the noise returned.
        x: the input, (*shape), or one of several.
        count: numbers of copies: (count,), or (b, count) for b inputs.
        noise: the noise.

    Raises:
        BaseFunctionError: they are not so many copies, (*count, *shape), floating-point and on x's device.
    """
    wanted = (*count, *x.shape)
    if not isinstance(copies, Tensor):
        raise BaseFunctionError(f"noise: expected a tensor of {wanted} from {noise}, got {type(copies).__name__}")
    if copies.shape != wanted or not copies.is_floating_point() or copies.device != x.device:
        raise BaseFunctionError(
            f"noise: expected {' x '.join(map(str, count))} noisy copies of the input from {noise}, floats of shape "
            f"{wanted} on {x.device}, got {copies.dtype} of shape {tuple(copies.shape)} on {copies.device}"
        )
    return copies
