"""Smoothing distributions, one per file."""

from smoothing.noise.ablation import Ablation
from smoothing.noise.base import FiniteNoise, Noise
from smoothing.noise.deterministic_splitting import DeterministicSplitting
from smoothing.noise.gaussian import Gaussian
from smoothing.noise.patches import BandAblation, BlockAblation
from smoothing.noise.splitting import Splitting
from smoothing.noise.uniform import Uniform

__all__ = [
    "Ablation",
    "BandAblation",
    "BlockAblation",
    "DeterministicSplitting",
    "FiniteNoise",
    "Gaussian",
    "Noise",
    "Splitting",
    "Uniform",
]
