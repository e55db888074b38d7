"""Figures of other papers' systems: medians, means, segmentations, hidden pixels, patches and conformal sets."""

from experiments.papers.others.ablation import AblationCurves
from experiments.papers.others.conformal import ConformalCurves
from experiments.papers.others.median_boxes import MedianBoxes
from experiments.papers.others.patches import PatchCurves
from experiments.papers.others.regression import RegressionBounds
from experiments.papers.others.segments import CertifiedCells

__all__ = [
    "AblationCurves",
    "CertifiedCells",
    "ConformalCurves",
    "MedianBoxes",
    "PatchCurves",
    "RegressionBounds",
]
