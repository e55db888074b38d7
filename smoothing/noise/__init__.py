"""Smoothing distributions, one a file."""

from smoothing.noise.base import Noise
from smoothing.noise.gaussian import Gaussian

__all__ = ["Gaussian", "Noise"]
