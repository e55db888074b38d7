"""Normalisation as a classifier's first layer, so that noise and radii are in [0, 1] pixel units."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from smoothing import BaseFunctionError, SettingError


class Normalisation(nn.Module):
    """(x - mean) / std, channel by channel.

    Mean and std are stored with the weights, so a classifier always normalises as in its training.

    Args:
        mean: one number per channel, in [0, 1] pixel units.
        std: one number per channel, > 0.

    Shape:
        (n, C, H, W) -> (n, C, H, W), float.

    Raises:
        SettingError: mean and std differ in length or are empty, or a std is not positive.
        BaseFunctionError: images have another shape or number of channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise SettingError(f"normalisation: expected as many std > 0 as means, got mean {mean}, std {std}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1] != len(self.mean):
            raise BaseFunctionError(
                f"classifier: expected images (n, {len(self.mean)}, H, W), got {tuple(images.shape)}"
            )
        return (images - self.mean) / self.std
