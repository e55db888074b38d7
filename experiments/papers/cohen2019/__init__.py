"""Randomized smoothing (Cohen, Rosenfeld and Kolter 2019): its tables and figures, compared with the paper."""

from experiments.papers.cohen2019.ablations import Ablations
from experiments.papers.cohen2019.attacks import AttackTable
from experiments.papers.cohen2019.baselines import Baselines
from experiments.papers.cohen2019.curves import Curves, HighProbability, TrainingNoise
from experiments.papers.cohen2019.looseness import Looseness
from experiments.papers.cohen2019.noisy_images import NoisyImages, Resolutions
from experiments.papers.cohen2019.tables import CertifiedAccuracyTable, PredictTable
from experiments.papers.cohen2019.theory import Bounds, Samples
from experiments.papers.cohen2019.times import Times

__all__ = [
    "Ablations",
    "AttackTable",
    "Baselines",
    "Bounds",
    "CertifiedAccuracyTable",
    "Curves",
    "HighProbability",
    "Looseness",
    "NoisyImages",
    "PredictTable",
    "Resolutions",
    "Samples",
    "Times",
    "TrainingNoise",
]
