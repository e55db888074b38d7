"""Smoothing distributions, one per file."""

from smoothing.noise.ablation import Ablation
from smoothing.noise.base import FiniteNoise, Noise
from smoothing.noise.deterministic_splitting import DeterministicSplitting
from smoothing.noise.gaussian import Gaussian
from smoothing.noise.splitting import Splitting
from smoothing.noise.uniform import Uniform

__all__ = ["Ablation", "DeterministicSplitting", "FiniteNoise", "Gaussian", "Noise", "Splitting", "Uniform"]
