"""Figures of our own contributions."""

from experiments.papers.ours.balanced import Balanced
from experiments.papers.ours.exact_bounds import ExactBounds
from experiments.papers.ours.l1_centers import DeterministicCurves
from experiments.papers.ours.masks import CertifiedMasks
from experiments.papers.ours.photographs import CertifiedPhotographs
from experiments.papers.ours.runner_up import RunnerUp
from experiments.papers.ours.tightness import Tightness

__all__ = [
    "Balanced",
    "CertifiedMasks",
    "CertifiedPhotographs",
    "DeterministicCurves",
    "ExactBounds",
    "RunnerUp",
    "Tightness",
]
