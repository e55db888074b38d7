"""Training methods for certified robustness, on MNIST, compared with the published certification logs."""

from experiments.papers.training.curves import TrainingCurves
from experiments.papers.training.losses import TrainingLosses
from experiments.papers.training.table import TrainingTable

__all__ = ["TrainingCurves", "TrainingLosses", "TrainingTable"]
