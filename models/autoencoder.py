"""A convolutional autoencoder, which reproduces images from a short code."""

import math

import torch
from torch import Tensor, nn

from models.encoder_decoder import CODE_CHANNELS, code_shape, decoder, encoder
from smoothing import SettingError


class Autoencoder(nn.Module):
    """Dimensionality reduction of Kumar and Goldstein (2021, section 5.3): convolutions, a code, deconvolutions.

    It is trained by `experiments.training.autoencoder_trainer.AutoencoderTrainer`.

    Args:
        shape: (C, H, W) of the images; H and W are multiples of 4. The data set provides it.
        bottleneck: length of the code, at least 1; 256 in the paper.

    Shape:
        (b, C, H, W), float, nominally in [0, 1] -> the same, in [0, 1].

    Raises:
        SettingError: H or W is not a multiple of 4, or bottleneck is below 1.
    """

    def __init__(self, shape: tuple[int, int, int], bottleneck: int = 256) -> None:
        super().__init__()
        if bottleneck < 1:
            raise SettingError(f"model.bottleneck: expected at least 1, got {bottleneck}")
        features = code_shape(shape)
        self.encode = nn.Sequential(
            encoder(shape[0]), nn.Flatten(), nn.Linear(math.prod(features), bottleneck), nn.ReLU()
        )
        self.decode = nn.Sequential(
            nn.Linear(bottleneck, math.prod(features)),
            nn.ReLU(),
            nn.Unflatten(1, features),
            nn.BatchNorm2d(CODE_CHANNELS),
            decoder(shape[0]),
        )
        self.to(memory_format=torch.channels_last)  # 1.5 times as fast on a CPU

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))
