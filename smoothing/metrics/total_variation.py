"""Total variation distance between images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric, require_span
from smoothing.metrics.halves import nearest_half_means
from smoothing.metrics.screens import Manhattan, Screen


class TotalVariation(Metric):
    """Total variation distance d(A, B) = TV(A - B) of images (channels, height, width); gamma = 1.

    TV(I) = sum over channels c and pairs of neighbours p, q in a row or a column of |I_cp - I_cq| (Kumar and Goldstein
    2021, section 5.3). So d is the l1 distance between the images' gradient maps. It is a pseudometric: images that
    differ by a constant have distance 0.

    Args:
        span: length of an interval that contains all output numbers, 1 for images in [0, 1]. Then distances are at most
            3024 for 28 x 28 gray images and 11904 for 32 x 32 RGB. It is only used to flag vacuous radii.

    Raises:
        SettingError: span is not positive. When a distance is computed: the outputs are not images of at least two
            pixels.

    Examples:
        >>> a, b = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]), torch.zeros(1, 2, 2)
        >>> TotalVariation()(a[None], b[None])  # one pixel of 1 has two neighbours
        tensor([2.], dtype=torch.float64)
        >>> TotalVariation(span=1).largest_distance((1, 28, 28))
        3024
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
        """Means of nearest halves (`halves.nearest_half_means`)."""
        return nearest_half_means(outputs, self)

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for a sum of p terms: a relative one, and an absolute one for the gradients that close images share.

        The error of a term is at most u relative to itself, plus u relative to both gradients. Adding p terms gives at
        most (p - 1) u relative to the sum. The absolute gradients of an image sum to at most those of the center plus
        its distance from the center.
        """
        gradients = _gradient_map(center[None])
        return (gradients.numel() + 4) * UNIT, 2.1 * UNIT * float(gradients.abs().sum())

    def largest_distance(self, shape: Sequence[int]) -> float:
        """Upper bound: 2 span for each pair of neighbours, as differences of images lie in [-span, span].

        Checkerboards attain it.
        """
        channels, height, width = _image_shape(shape)
        return 2 * self.span * channels * (height * (width - 1) + (height - 1) * width)


def _gradient_map(images: Tensor) -> Tensor:
    """Differences of all pairs of neighbours: (n, channels, height, width) -> (n, number of pairs), float64."""
    _image_shape(images.shape[1:])
    images = images.double()
    return torch.cat([images.diff(dim=2).flatten(1), images.diff(dim=3).flatten(1)], dim=1)


def _image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise SettingError(
            f"metric: TotalVariation needs outputs (channels, height, width), got {tuple(shape)}; use L2 for others"
        )
    channels, height, width = shape
    if height * width < 2:
        raise SettingError(f"metric: TotalVariation needs two pixels or more, got outputs {tuple(shape)}; use L2")
    return channels, height, width
