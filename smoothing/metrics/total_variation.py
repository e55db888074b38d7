"""Total variation distance between images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric, require_span
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Manhattan, Screen


class TotalVariation(Metric):
    """TV(I1 - I2) of two images (channels, height, width); a pseudometric (gamma = 1).

    The sum of |difference of the differences| over all channels and all pairs of pixels that are neighbours in a row
    or a column (Kumar and Goldstein 2021, section 5.3): the l1 distance between the images' gradient maps. Images that
    differ by a constant are at distance 0.

    Args:
        span: the outputs' numbers lie in an interval of this length; 1 for images in [0, 1], which are at most 3024
            apart if they are 28 x 28 gray and 11904 if 32 x 32 RGB. Only flags vacuous radii.
    """

    def __init__(self, span: float = float("inf")) -> None:
        self.span = require_span(span)

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (_gradient_map(a) - _gradient_map(b)).abs().sum(dim=1)

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cdist(_gradient_map(a), _gradient_map(b), p=1)

    def screen(self, outputs: Tensor) -> Screen:
        return Manhattan(outputs, _gradient_map)

    def candidates(self, outputs: Tensor) -> Tensor:
        """Mean images of nearest halves."""
        return nearest_half_means(outputs, self)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """A sum of p terms, and what is lost of the gradients, which two close images have in common.

        A term is off by u of itself and by u of both gradients there; adding p of them by (p - 1) u of the sum. An
        image's gradients sum to those of the center and its distance from the center, at most.
        """
        gradients = _gradient_map(center[None])
        return (gradients.numel() + 4) * UNIT, 2.1 * UNIT * float(gradients.abs().sum())

    def largest_distance(self, shape: Sequence[int]) -> float:
        """2 span for each pair of neighbours: a difference of images lies in [-span, span]. A checkerboard has it."""
        channels, height, width = _image_shape(shape)
        return 2 * self.span * channels * (height * (width - 1) + (height - 1) * width)


def _gradient_map(images: Tensor) -> Tensor:
    """All differences of neighbours: (n, channels, height, width) -> (n, number of pairs), float64."""
    _image_shape(images.shape[1:])
    images = images.double()
    return torch.cat([images.diff(dim=2).flatten(1), images.diff(dim=3).flatten(1)], dim=1)


def _image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SettingError(
            f"metric: TotalVariation needs outputs (channels, height, width), got {tuple(shape)}; take L2 for others"
        )
    channels, height, width = shape
    if height * width < 2:
        raise SettingError(f"metric: TotalVariation needs two pixels or more, got outputs {tuple(shape)}; take L2")
    return channels, height, width
