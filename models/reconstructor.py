"""Images from few linear measurements: a back-projection, then a network that mends what it leaves."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from models.encoder_decoder import code_shape, decoder, encoder
from smoothing import SettingError

BACK_PROJECTIONS = ("pseudo_inverse", "transpose")


class Reconstructor(nn.Module):
    """Image reconstruction of Kumar and Goldstein (2021, section 5.3): y = A x in, x out.

    A is Gaussian, of mean 0 and variance 1 / measurements. The network is the autoencoder's without its code: linear
    layers, their ReLUs and the batch normalisation after them. Noise and perturbations live in the space of y: training
    and certification add them to `measure(images)`.

    Args:
        shape: (C, H, W) of the images, H and W multiples of 4; given by the run.
        measurements: numbers in y, at least 1; 256 in the paper.
        back_projection: pseudo_inverse, as the paper says, or transpose, as its published code has it.
        seed: of A, which is part of the problem: kept with the weights.

    Attributes:
        matrix: A, (measurements, C H W), float32.
        back: what takes y back to image space, (C H W, measurements), float32; computed once, in float64, and kept
            with the weights too, so that one machine's rounding is not another's.

    Shape:
        (b, measurements), float -> (b, C, H, W), in [0, 1].

    Raises:
        SettingError: images of another size; a value out of its range.
    """

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
