"""Center smoothing (Kumar and Goldstein 2021): its figures, compared with the paper."""

from experiments.papers.kumar2021.curves import (
    BaselineCurves,
    MedianCurves,
    TotalVariationCurves,
    TrainingNoiseCurves,
)
from experiments.papers.kumar2021.faces import Boxes, FaceCurves
from experiments.papers.kumar2021.generator import GeneratorCurves
from experiments.papers.kumar2021.images import SmoothedImages
from experiments.papers.kumar2021.times import Times

__all__ = [
    "BaselineCurves",
    "Boxes",
    "FaceCurves",
    "GeneratorCurves",
    "MedianCurves",
    "SmoothedImages",
    "Times",
    "TotalVariationCurves",
    "TrainingNoiseCurves",
]
