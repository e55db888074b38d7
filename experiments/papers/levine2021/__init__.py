"""Deterministic smoothing against l1 (Levine and Feizi 2021): tables and figures, compared with the paper."""

from experiments.papers.levine2021.certification_time import CertificationTime
from experiments.papers.levine2021.curves import DenoiserCurves, EverySigma, MethodCurves
from experiments.papers.levine2021.images import NoisyImages, NoisyPhotographs
from experiments.papers.levine2021.joint import JointNoise
from experiments.papers.levine2021.noise_values import NoiseValues
from experiments.papers.levine2021.tables import BestAccuracyTable

__all__ = [
    "BestAccuracyTable",
    "CertificationTime",
    "DenoiserCurves",
    "EverySigma",
    "JointNoise",
    "MethodCurves",
    "NoiseValues",
    "NoisyImages",
    "NoisyPhotographs",
]
