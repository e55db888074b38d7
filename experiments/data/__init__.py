"""Data sets, one per file. Each returns examples by index, on the CPU."""

import importlib
from typing import TYPE_CHECKING, Any

from experiments.data.base import Dataset, Images, LabelledDataset, LabelledImages, MissingDataError, TargetDataset

if TYPE_CHECKING:
    from experiments.data.celeba import CelebA
    from experiments.data.cifar10 import CIFAR10
    from experiments.data.cifar10_preprocessed import CIFAR10Preprocessed
    from experiments.data.classes import Classes
    from experiments.data.diabetes import Diabetes
    from experiments.data.digit_mosaics import DigitMosaics
    from experiments.data.digits import Digits
    from experiments.data.faces import Faces
    from experiments.data.folder import ImageFolder
    from experiments.data.imagenet import ImageNet
    from experiments.data.imagenet_photos import ImageNetPhotos
    from experiments.data.latents import Latents
    from experiments.data.mnist import MNIST
    from experiments.data.people import People
    from experiments.data.photographs import Photographs
    from experiments.data.portraits import Portraits
    from experiments.data.svhn import SVHN

__all__ = [
    "CIFAR10",
    "MNIST",
    "SVHN",
    "CIFAR10Preprocessed",
    "CelebA",
    "Classes",
    "Dataset",
    "Diabetes",
    "DigitMosaics",
    "Digits",
    "Faces",
    "ImageFolder",
    "ImageNet",
    "ImageNetPhotos",
    "Images",
    "LabelledDataset",
    "LabelledImages",
    "Latents",
    "MissingDataError",
    "People",
    "Photographs",
    "Portraits",
    "TargetDataset",
]

_FILES = {
    "CIFAR10": "cifar10",
    "CIFAR10Preprocessed": "cifar10_preprocessed",
    "MNIST": "mnist",
    "SVHN": "svhn",
    "CelebA": "celeba",
    "Classes": "classes",
    "Diabetes": "diabetes",
    "DigitMosaics": "digit_mosaics",
    "Digits": "digits",
    "Faces": "faces",
    "ImageFolder": "folder",
    "ImageNet": "imagenet",
    "ImageNetPhotos": "imagenet_photos",
    "Latents": "latents",
    "People": "people",
    "Photographs": "photographs",
    "Portraits": "portraits",
}


def __getattr__(name: str) -> Any:
    """Import a data set's module on first use. Most need torchvision, which takes two seconds to import."""
    if name in _FILES:
        return getattr(importlib.import_module(f"experiments.data.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
