"""Band and block ablation, against patches: all but one part of the image is hidden (Levine and Feizi 2020b).

Levine and Feizi, "(De)Randomized Smoothing for Certifiable Defense against Patch Attacks" (arXiv 2002.10733). The
threat is a square patch: x' differs from x only in m x m neighbouring pixels, anywhere in the image, by any amount. The
input radius eps is m.
"""

from abc import abstractmethod
from math import floor
from typing import ClassVar

import torch
from torch import Tensor

from smoothing.arguments import sizes, warn_if_channels_last, whole_number
from smoothing.errors import SettingError
from smoothing.noise.base import FiniteNoise
from smoothing.rounding import down, up
from smoothing.streams import BlockSource


class PatchAblation(FiniteNoise):
    """The guarantee shared by bands and blocks. A noisy input shows one part of x and has NaN elsewhere.

    A patch of side m touches D(m) = `affected(m)` of the L = `steps` parts, wherever it is. All other noisy inputs are
    those of x. So shift(p, m) = p - D(m) / L, mass(p0, m) = p0 + D(m) / L, and the radius is the largest m with
    p_A - p_B > 2 D(m) / L. An eps between two whole numbers counts as the lower one.

    A network must know what is hidden: `models.Ablated` and `models.AblatedAutoencoder` receive x and 1 - x, both 0 in
    hidden pixels, as in the paper. A network that computes with NaN has no class.

    Args:
        size: s, the side of the part in pixels.
        shape: shape of an input, (channels, H, W).

    Raises:
        SettingError: an argument is out of range.
    """

    threat_norm: ClassVar[str] = "patch"
    radius_units: ClassVar[str] = "side in pixels"
    levels = 1  # a radius is a whole number

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        self.shape = sizes("noise.shape", shape)
        if len(self.shape) != 3:
            raise SettingError(f"noise.shape: expected (channels, H, W), got {self.shape}")
        warn_if_channels_last(self.shape)
        self.size = whole_number("noise.size", size, 1)
        if self.size > (most := self._largest()):
            raise SettingError(f"noise.size: expected 1 to {most} pixels of an image {self.shape}, got {size}")

    @abstractmethod
    def _largest(self) -> int:
        """The largest size of a part."""

    @abstractmethod
    def _shown(self, t: Tensor) -> Tensor:
        """Which pixels parts number t show: (count,) -> (count, 1, H or 1, W)."""

    def _touched(self, m: int, length: int) -> int:
        """How many parts of s neighbours on a circle of `length` pixels meet m neighbouring pixels, m >= 0."""
        return min(length, m + self.size - 1) if m else 0

    def reach(self, count: int) -> float:
        sides = range(max(self.shape[1:]) + 1)
        return float(max(m for m in sides if self.affected(m) <= count))

    def copies(self, x: Tensor, first: int, count: int) -> Tensor:
        return self._at(x[None], torch.arange(first, first + count, device=x.device))

    def copies_of_each(self, xs: Tensor) -> Tensor:
        return self._at(xs[:, None], torch.arange(self.steps, device=xs.device))

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        """The next `count` noisy copies of x, each with a random part."""
        return self._at(x[None], source.integers(self.steps, (count,)))

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        return self._at(x, source.integers(self.steps, (len(x),)))

    def _at(self, x: Tensor, t: Tensor) -> Tensor:
        """Noisy input number t of x: (..., b or 1, *shape) and (b,) -> (..., b, *shape)."""
        return torch.where(self._shown(t), x, torch.nan)

    def require(self, x: Tensor) -> None:
        if tuple(x.shape) != self.shape:
            raise SettingError(f"input: expected shape {self.shape}, as the noise's, got {tuple(x.shape)}")

    def shift(self, p: float, eps: float) -> float:
        return max(0.0, down(float(p) - up(self.affected(eps) / self.steps))) if eps >= 1 else float(p)

    def mass(self, p0: float, eps: float) -> float:
        return min(1.0, up(float(p0) + up(self.affected(eps) / self.steps))) if eps >= 1 else float(p0)

    def radius(self, p_a: float, p_b: float | None = None) -> float:
        p_a = float(p_a)
        p_b = up(1 - p_a) if p_b is None else float(p_b)
        sides = range(1, max(self.shape[1:]) + 1)
        return float(sum(down(p_a - p_b) > up(2 * self.affected(m) / self.steps) for m in sides))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, L={self.steps})"


class BandAblation(PatchAblation):
    """Column smoothing: a noisy input shows s neighbouring columns. Bands wrap around, so L = W.

    A patch m wide meets D(m) = min(W, m + s - 1) bands. The guarantee holds for every change of m neighbouring columns.

    Args:
        size: s, the columns of a band, 1 to W.
        shape: shape of an input, (channels, H, W).

    Attributes:
        steps: L = W. Noisy input t shows columns t, ..., t + s - 1 mod W.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> noise = BandAblation(size=3, shape=(1, 28, 28))
        >>> noise.steps, noise.affected(5), noise.reach(7)
        (28, 7, 5.0)
        >>> BandAblation(size=2, shape=(1, 1, 4)).copies(torch.zeros(1, 1, 4), first=3, count=1)
        tensor([[[[0., nan, nan, 0.]]]])
    """

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__(size, shape)
        self.steps = self.shape[2]

    def affected(self, eps: float) -> int:
        return self._touched(floor(eps), self.shape[2])

    def _largest(self) -> int:
        return self.shape[2]

    def _shown(self, t: Tensor) -> Tensor:
        return _run(t, self.size, self.shape[2])[:, None, None, :]


class BlockAblation(PatchAblation):
    """Block smoothing: a noisy input shows s x s pixels. Blocks wrap around, so L = H W.

    A patch of side m meets D(m) = min(H, m + s - 1) min(W, m + s - 1) blocks.

    Args:
        size: s, the side of a block, 1 to the smaller of H and W.
        shape: shape of an input, (channels, H, W).

    Attributes:
        steps: L = H W. Noisy input t shows rows i, ..., i + s - 1 mod H and columns j, ..., j + s - 1 mod W, with
            t = i W + j.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> noise = BlockAblation(size=12, shape=(1, 28, 28))
        >>> noise.steps, noise.affected(5), noise.reach(256), noise.radius(0.9, 0.05)
        (784, 256, 5.0, 7.0)
    """

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__(size, shape)
        self.steps = self.shape[1] * self.shape[2]

    def affected(self, eps: float) -> int:
        return self._touched(floor(eps), self.shape[1]) * self._touched(floor(eps), self.shape[2])

    def _largest(self) -> int:
        return min(self.shape[1:])

    def _shown(self, t: Tensor) -> Tensor:
        height, width = self.shape[1:]
        rows, columns = _run(t // width, self.size, height), _run(t % width, self.size, width)
        return rows[:, None, :, None] & columns[:, None, None, :]


def _run(first: Tensor, size: int, length: int) -> Tensor:
    """Whether each place on a circle of `length` is one of the `size` from `first` on: (b,) -> (b, length)."""
    return (torch.arange(length, device=first.device) - first[:, None]) % length < size
