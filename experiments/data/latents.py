"""Latent variables of a generator: nothing to download."""

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from experiments.data.base import Dataset
from smoothing import SettingError

CUT = 2.0  # standard deviations at which the normal is cut off, as for BigGAN (Brock et al. 2019)


class Latents(Dataset):
    """Random latents of BigGAN: truncation times a standard normal cut off at 2. No pixels: about half are negative.

    A latent depends on seed, dim and its index alone; truncation scales it.

    Args:
        dim: numbers in a latent, (dim,), float32 in [-2 truncation, 2 truncation].
        truncation: in (0, 1], that of the generator.
        count: how many.
        seed: of the draw.

    Raises:
        SettingError: a value out of its range.
    """

    def __init__(self, dim: int = 128, truncation: float = 0.5, count: int = 50, seed: int = 0) -> None:
        for name, value, least in (("dim", dim, 1), ("count", count, 1), ("seed", seed, 0)):
            if value < least:
                raise SettingError(f"dataset.{name}: expected at least {least}, got {value}")
        if not 0 < truncation <= 1:
            raise SettingError(f"dataset.truncation: expected a number above 0 and at most 1, got {truncation}")
        self.dim, self.truncation, self.count, self.seed = dim, truncation, count, seed

    def indices(self) -> list[int]:
        return list(range(self.count))

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < self.count:
            raise IndexError(f"latents: indices are 0 to {self.count - 1}, got {index}")
        # A key of one word, so it is none of a certificate's, which are of three.
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(index,)))
        probability = random.uniform(ndtr(-CUT), ndtr(CUT), self.dim)
        return torch.from_numpy(self.truncation * ndtri(probability).clip(-CUT, CUT)).to(torch.float32)
