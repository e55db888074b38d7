"""Certified robustness by randomized smoothing: sampling, statistics and guarantees, each on its own."""

from smoothing.center_guarantee import CenterDraws, CenterSettings, OutputCertificate, certificate
from smoothing.center_smoothing import CenterSmoothing, SmoothedOutput
from smoothing.errors import BaseFunctionError, SettingError, SmoothingError
from smoothing.metrics import L2, Jaccard, Metric
from smoothing.noise import Gaussian, Noise

__all__ = [
    "L2",
    "BaseFunctionError",
    "CenterDraws",
    "CenterSettings",
    "CenterSmoothing",
    "Gaussian",
    "Jaccard",
    "Metric",
    "Noise",
    "OutputCertificate",
    "SettingError",
    "SmoothedOutput",
    "SmoothingError",
    "certificate",
]
