"""Figures and tables for your own paper: any runs beside any others, with tests of their differences."""

from experiments.papers.yours.compare import Compare
from experiments.papers.yours.table import ComparisonTable

__all__ = ["Compare", "ComparisonTable"]
