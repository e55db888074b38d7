"""Images from a few linear measurements: a back-projection, then a network that corrects its errors."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from models.encoder_decoder import code_shape, decoder, encoder
from smoothing import SettingError

BACK_PROJECTIONS = ("pseudo_inverse", "transpose")


class Reconstructor(nn.Module):
    """Image reconstruction of Kumar and Goldstein (2021, section 5.3): the input is y = A x, the output is x.

    A is Gaussian with mean 0 and variance 1 / measurements. The network is the autoencoder without its code, that is,
    without the linear layers, their ReLUs and the batch normalisation after them. Noise and perturbations are in the
    space of y: training and certification add them to `measure(images)`.

    Args:
        shape: (C, H, W) of the images; H and W are multiples of 4. The data set provides it.
        measurements: length of y, at least 1; 256 in the paper.
        back_projection: pseudo_inverse, as in the paper, or transpose, as in its published code.
        seed: of A, at least 0. A is part of the problem, so it is stored with the weights.

    Attributes:
        matrix: A, (measurements, C H W), float32.
        back: maps y to image space, (C H W, measurements), float32. It is computed once, in float64, and stored with
            the weights, because machines may round it differently.

    Shape:
        (b, measurements), float -> (b, C, H, W), in [0, 1].

    Raises:
        SettingError: H or W is not a multiple of 4, or a value is out of its range.
    """

    units = "measurements"
    matrix: Tensor
    back: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        measurements: int = 256,
        back_projection: str = "pseudo_inverse",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if measurements < 1 or seed < 0:
            raise SettingError(f"model: expected measurements >= 1 and seed >= 0, got {measurements} and {seed}")
        if back_projection not in BACK_PROJECTIONS:
            raise SettingError(
                f"model.back_projection: expected one of {', '.join(BACK_PROJECTIONS)}, got {back_projection}"
            )
        code_shape(shape)
        normal = np.random.default_rng(seed).standard_normal((measurements, math.prod(shape)))
        matrix = torch.from_numpy(normal / math.sqrt(measurements)).to(torch.float32)
        back = torch.linalg.pinv(matrix.double()) if back_projection == "pseudo_inverse" else matrix.T
        self.register_buffer("matrix", matrix)
        self.register_buffer("back", back.to(torch.float32, copy=True).contiguous())
        self.unflatten = nn.Unflatten(1, shape)
        self.mend = nn.Sequential(encoder(shape[0]), decoder(shape[0]))
        self.to(memory_format=torch.channels_last)

    def measure(self, images: Tensor) -> Tensor:
        """A x of each image: (b, C, H, W) -> (b, measurements)."""
        return images.flatten(1) @ self.matrix.T

    def forward(self, y: Tensor) -> Tensor:
        return self.mend(self.unflatten(y @ self.back.T))
