"""Distances between outputs, one a file."""

from smoothing.metrics.base import Metric
from smoothing.metrics.jaccard import Jaccard

__all__ = ["Jaccard", "Metric"]
