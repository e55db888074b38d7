"""Distances between outputs, one per file."""

from smoothing.metrics.angular import Angular
from smoothing.metrics.base import Metric
from smoothing.metrics.cosine import Cosine
from smoothing.metrics.enclosing_ball import EnclosingBallL2
from smoothing.metrics.feature_distance import FeatureDistance
from smoothing.metrics.finite import FiniteSpace
from smoothing.metrics.hamming import Hamming
from smoothing.metrics.jaccard import Jaccard
from smoothing.metrics.l2 import L2
from smoothing.metrics.lpips import LPIPS
from smoothing.metrics.mask_jaccard import MaskJaccard
from smoothing.metrics.symmetrised import Hausdorff, Symmetrised
from smoothing.metrics.total_variation import TotalVariation

__all__ = [
    "L2",
    "LPIPS",
    "Angular",
    "Cosine",
    "EnclosingBallL2",
    "FeatureDistance",
    "FiniteSpace",
    "Hamming",
    "Hausdorff",
    "Jaccard",
    "MaskJaccard",
    "Metric",
    "Symmetrised",
    "TotalVariation",
]
