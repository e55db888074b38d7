"""Figures of other papers' systems: medians, means, segmentations and hidden pixels."""

from experiments.papers.others.ablation import AblationCurves
from experiments.papers.others.median_boxes import MedianBoxes
from experiments.papers.others.regression import RegressionBounds
from experiments.papers.others.segments import CertifiedCells

__all__ = ["AblationCurves", "CertifiedCells", "MedianBoxes", "RegressionBounds"]
