"""Data sets, one a file: examples by index, on the CPU."""

from experiments.data.base import Dataset, Images, LabelledDataset, LabelledImages, MissingDataError
from experiments.data.celeba import CelebA
from experiments.data.cifar10 import CIFAR10
from experiments.data.classes import Classes
from experiments.data.digits import Digits
from experiments.data.faces import Faces
from experiments.data.folder import ImageFolder
from experiments.data.imagenet import ImageNet
from experiments.data.latents import Latents
from experiments.data.mnist import MNIST

__all__ = [
    "CIFAR10",
    "MNIST",
    "CelebA",
    "Classes",
    "Dataset",
    "Digits",
    "Faces",
    "ImageFolder",
    "ImageNet",
    "Images",
    "LabelledDataset",
    "LabelledImages",
    "Latents",
    "MissingDataError",
]
