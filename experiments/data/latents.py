"""Random latents of a generator. No download is needed."""

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from experiments.data.base import Dataset
from smoothing import SettingError

CUT = 2.0  # the normal is truncated at this many standard deviations, as for BigGAN (Brock et al. 2019)


class Latents(Dataset):
    """Random latents of BigGAN: `truncation` times a standard normal truncated at 2.

    They are not pixels: about half of the numbers are negative. A latent depends only on seed, dim and its index;
    `truncation` scales it.

    Args:
        dim: size of a latent, (dim,), float32 in [-2 truncation, 2 truncation].
        truncation: the generator's truncation, in (0, 1].
        count: number of latents.
        seed: seed of the draw.

    Raises:
        SettingError: a value is out of range.
    """

    units = "latents"

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
        # A key of one word cannot collide with the keys of certificates, which have three.
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(index,)))
        probability = random.uniform(ndtr(-CUT), ndtr(CUT), self.dim)
        return torch.from_numpy(self.truncation * ndtri(probability).clip(-CUT, CUT)).to(torch.float32)
