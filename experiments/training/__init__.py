"""Train base functions, and find trained checkpoints."""

from experiments.training.autoencoder_trainer import AutoencoderTrainer
from experiments.training.consistency_trainer import ConsistencyTrainer
from experiments.training.denoiser_trainer import DenoiserTrainer
from experiments.training.macer_trainer import MacerTrainer
from experiments.training.regression_trainer import RegressionTrainer
from experiments.training.segment_trainer import SegmentTrainer
from experiments.training.smooth_adv_trainer import SmoothAdvTrainer
from experiments.training.smooth_mix_trainer import SmoothMixTrainer
from experiments.training.stability_trainer import StabilityTrainer
from experiments.training.trainer import Trainer

__all__ = [
    "AutoencoderTrainer",
    "ConsistencyTrainer",
    "DenoiserTrainer",
    "MacerTrainer",
    "RegressionTrainer",
    "SegmentTrainer",
    "SmoothAdvTrainer",
    "SmoothMixTrainer",
    "StabilityTrainer",
    "Trainer",
]
