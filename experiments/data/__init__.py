"""Data sets, one a file: examples by index, on the CPU."""

from experiments.data.base import Dataset, MissingDataError
from experiments.data.celeba import CelebA
from experiments.data.faces import Faces
from experiments.data.folder import ImageFolder

__all__ = ["CelebA", "Dataset", "Faces", "ImageFolder", "MissingDataError"]
