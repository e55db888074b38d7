"""Train base functions, and find trained checkpoints."""

from experiments.training.autoencoder_trainer import AutoencoderTrainer
from experiments.training.denoiser_trainer import DenoiserTrainer
from experiments.training.trainer import Trainer

__all__ = ["AutoencoderTrainer", "DenoiserTrainer", "Trainer"]
