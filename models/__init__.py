"""Base functions f: each an `nn.Module` that maps a batch of inputs to a batch of outputs, row by row."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.ablated import Ablated, AblatedAutoencoder
    from models.autoencoder import Autoencoder
    from models.denoised import Denoised
    from models.face_detector import FaceDetector
    from models.face_generator import FaceGenerator
    from models.generator import BigGAN
    from models.person_segmenter import PersonSegmenter
    from models.reconstructor import Reconstructor
    from models.regressor import Regressor
    from models.segmenter import Segmenter

__all__ = [
    "Ablated",
    "AblatedAutoencoder",
    "Autoencoder",
    "BigGAN",
    "Denoised",
    "FaceDetector",
    "FaceGenerator",
    "PersonSegmenter",
    "Reconstructor",
    "Regressor",
    "Segmenter",
]

_FILES = {
    "Ablated": "ablated",
    "AblatedAutoencoder": "ablated",
    "Autoencoder": "autoencoder",
    "BigGAN": "generator",
    "Denoised": "denoised",
    "FaceDetector": "face_detector",
    "FaceGenerator": "face_generator",
    "PersonSegmenter": "person_segmenter",
    "Reconstructor": "reconstructor",
    "Regressor": "regressor",
    "Segmenter": "segmenter",
}


def __getattr__(name: str) -> Any:
    """A model's file is read when it is asked for: that of `BigGAN` needs a package that few have installed."""
    if name in _FILES:
        return getattr(importlib.import_module(f"models.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
