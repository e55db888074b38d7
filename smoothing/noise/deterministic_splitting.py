"""Deterministic splitting noise (DSSN), against l1 perturbations: certificates without sampling and without error."""

import base64
from math import floor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smoothing.arguments import number, sizes, whole_number
from smoothing.errors import SettingError
from smoothing.noise.base import FiniteNoise
from smoothing.noise.l1 import L1Noise, lambda_of, require_grid, steps_of
from smoothing.noise.splitting import checked_levels, split
from smoothing.rounding import up
from smoothing.streams import BlockSource

LARGEST = 2.0**62  # number of noisy inputs that `affected` gives, at most


class DeterministicSplitting(L1Noise, FiniteNoise):
    """Splitting noise whose split positions move together, DSSN: L noisy inputs (Levine and Feizi 2021, eqs. 17, 18).

    L = floor(2 lambda levels). Coordinate i of noisy input t = 0, ..., L - 1 is split at
    s_i = ((v_i + t) mod L + 1/2) / levels. Each s_i alone is uniform on its L values. The guarantee needs nothing else
    (corollary 1), so it is that of `Splitting`, with exact probabilities.

    Args:
        sigma: lambda / sqrt(3), in the units of the input, > 0. lambda is rounded down to L / (2 levels).
        levels: inputs' values are k / levels, k = 0, ..., levels: a property of the data.
        shape: shape of an input.
        seed: of the offsets v. They belong to the smoothed function and are stored with it (`state`).

    Attributes:
        offsets: v, (*shape), int64, in 0, ..., L - 1.
        steps: L.

    Raises:
        SettingError: an argument is out of range, or lambda is less than half a level, so that L = 0.

    Examples:
        >>> noise = DeterministicSplitting(sigma=0.5, levels=16, shape=(3,))
        >>> noise.steps, noise.lam  # L = floor(2 sqrt(3) 0.5 16), lambda = L / 32
        (27, 0.84375)
        >>> round(noise.radius(20 / 27, 5 / 27), 4)  # lambda (p_A - p_B)
        0.4687
        >>> noise.copies(torch.zeros(3), first=0, count=2).shape
        torch.Size([2, 3])
        >>> noise.affected(0.3), noise.reach(4)
        (4, 0.25)
    """

    def __init__(self, sigma: float, levels: int, shape: tuple[int, ...], seed: int = 0) -> None:
        self.sigma, self.levels = number("noise.sigma", sigma), checked_levels(levels)
        self.shape, self.seed = sizes("noise.shape", shape), whole_number("noise.seed", seed)
        sigma, levels = self.sigma, self.levels
        self.steps = int(2 * lambda_of(sigma) * levels)
        if not 1 <= self.steps < 2**20:
            least, most = 1 / (12**0.5 * levels), 2**20 / (12**0.5 * levels)
            raise SettingError(
                f"noise.sigma: {sigma} gives {self.steps} split positions on a grid of 1/{levels}; "
                f"expected at least {least:.4g} and less than {most:.4g}"
            )
        self.lam = self.steps / (2 * levels)
        key = np.random.SeedSequence(self.seed, spawn_key=(0,))  # one word: no sample has such a key
        offsets = np.random.Generator(np.random.Philox(key)).integers(self.steps, size=self.shape, dtype=np.int32)
        self.offsets = torch.from_numpy(offsets.astype(np.int64))
        self._tables: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self._placed = self.offsets, self.offsets  # the offsets, and those on the device of the last input

    def copies(self, x: Tensor, first: int, count: int) -> Tensor:
        return self._copies(x[None], first, count)[0]

    def copies_of_each(self, xs: Tensor) -> Tensor:
        return self._copies(xs, 0, self.steps)

    def _copies(self, xs: Tensor, first: int, count: int) -> Tensor:
        columns = self._table(xs).unfold(1, count, 1)
        by_coordinate = columns[self._k(xs), self._offsets(xs) + first]  # (b, *shape, count): t = first, ...
        return by_coordinate.movedim(-1, 1)

    def affected(self, eps: float) -> int:
        """floor(levels eps): a grid step changes at most one noisy input, the same t before and after (eq. 16).

        An eps just below a step counts as it. The number is not capped at L: rows of failed certificates contain it.
        """
        return floor(min(up(float(eps) * self.levels), LARGEST))

    def reach(self, count: int) -> float:
        return count / self.levels

    def sample(self, x: Tensor, count: int, source: BlockSource) -> Tensor:
        """The next `count` noisy copies of x, each with a random t."""
        return self._at(x[None], source.integers(self.steps, (count,)))

    def sample_each(self, x: Tensor, source: BlockSource) -> Tensor:
        return self._at(x, source.integers(self.steps, (len(x),)))

    def _at(self, x: Tensor, t: Tensor) -> Tensor:
        """Noisy input number t of x: (b or 1, *shape) and (b,) -> (b, *shape)."""
        return self._table(x)[self._k(x), self._offsets(x) + t.view(-1, *[1] * (x.dim() - 1))]

    def _offsets(self, x: Tensor) -> Tensor:
        """The offsets on x's device. They are copied once, because the host waits for the device to copy them."""
        offsets, placed = self._placed
        if offsets is not self.offsets or placed.device != x.device:
            self._placed = self.offsets, self.offsets.to(x.device)
        return self._placed[1]

    def _k(self, x: Tensor) -> Tensor:
        """The levels of x's values, 0 to `levels`, int64."""
        return steps_of(x, self.levels).long()

    def _table(self, x: Tensor) -> Tensor:
        """The noisy value of each level k for each split position, (levels + 1, 2 L), in x's dtype on its device.

        Column j is for s = (j mod L + 1/2) / levels. All positions are there twice, so that v_i + t needs no modulus.
        """
        key = (x.device, x.dtype)
        if key not in self._tables:
            s = 2 * torch.arange(self.steps, dtype=torch.int32) + 1
            k = 2 * torch.arange(self.levels + 1, dtype=torch.int32)[:, None]
            self._tables[key] = split(k, s, 2 * self.steps, self.levels).repeat(1, 2).to(x)
        return self._tables[key]

    def require(self, x: Tensor) -> None:
        DeterministicSplitting.require_each(self, x[None])

    def require_each(self, xs: Tensor) -> None:
        if (shape := tuple(xs.shape[1:])) != self.shape:
            raise SettingError(f"input: expected shape {self.shape}, as the noise's offsets, got {shape}")
        require_grid(xs, self.levels)

    def state(self) -> dict[str, Any]:
        """The offsets, as base64 of little-endian int32, with the settings that they belong to."""
        offsets = base64.b64encode(self.offsets.numpy().astype("<i4").tobytes()).decode()
        return {"levels": self.levels, "steps": self.steps, "shape": list(self.shape), "offsets": offsets}

    def restore(self, state: dict[str, Any]) -> None:
        if "offsets" not in state:
            raise SettingError(
                "noise: no offset vector is stored with the weights, and they certify nothing without it; train again"
            )
        for name, own in (("levels", self.levels), ("steps", self.steps), ("shape", list(self.shape))):
            if state.get(name) != own:
                raise SettingError(f"noise: {name} is {own}, but {state.get(name)} in the checkpoint's offsets")
        try:
            offsets = np.frombuffer(base64.b64decode(state["offsets"]), "<i4").reshape(self.shape)
            if offsets.min() < 0 or offsets.max() >= self.steps:
                raise ValueError("out of range")
        except ValueError as error:
            raise SettingError(f"noise: the checkpoint's offset vector is damaged ({error})") from error
        self.offsets = torch.from_numpy(offsets.astype(np.int64))

    def __repr__(self) -> str:
        return f"DeterministicSplitting(sigma={self.sigma}, levels={self.levels}, L={self.steps}, seed={self.seed})"
