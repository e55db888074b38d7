"""Certification runs: from settings to rows."""

from experiments.certifying.deepfool import DeepFool

__all__ = ["DeepFool"]
