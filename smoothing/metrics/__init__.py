"""Distances between outputs, one a file."""

from smoothing.metrics.base import Metric
from smoothing.metrics.jaccard import Jaccard
from smoothing.metrics.l2 import L2

__all__ = ["L2", "Jaccard", "Metric"]
