"""Perceptual distance between images."""

import warnings
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric

NUMBERS_AT_ONCE = 2**20  # of images shown to the network together; their features are about 41 times as many
FEATURES = 122  # of each pixel: 64 + 128 / 4 + 256 / 16 + 512 / 64 + 512 / 256
LEAST_SIDE = 16  # pixels: four poolings halve it


class LPIPS(Metric):
    """Learned perceptual distance of VGG-16 (Zhang et al. 2018, version 0.1); gamma = 2.

    The sum over five layers, and the mean over an image's positions, of the weighted squared difference of features
    that are normalised at each position. So it is the squared distance of two vectors of features, and
    |a - c|^2 <= 2 (|a - b|^2 + |b - c|^2). Each image (1 or 3 channels, height, width) is first scaled to [-1, 1] by
    its own smallest and largest value, a constant one to 0; that keeps the inequality, being a function of one image.

    The features are float32 (never TF32), and what is certified is their distance, in float64. The root of the distance
    that exact arithmetic would give lies within 1e-6 of that one's (tested, with random weights); this is not accounted
    for.

    Args:
        weights: of the VGG-16: "hub" for torchvision's, downloaded once; a file that holds them (vgg16-397923af.pth);
            or "random", for tests: no perceptual distance then. The layers' weights come with the package lpips.

    Raises:
        SettingError: at the first distance, where the weights cannot be had or the outputs are no images.
    """

    gamma = 2.0

    def __init__(self, weights: str = "hub") -> None:
        self.weights = weights
        self._network: nn.Module | None = None

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        side, distances = self._tile_side(a.shape[1:]), []
        of_one = self._features(b) if len(b) == 1 else None
        for start in range(0, len(a), side):
            features = of_one or self._features(b[start : start + side])
            differences = (u - v for u, v in zip(self._features(a[start : start + side]), features, strict=True))
            distances.append(sum((d.square().sum(dim=1) for d in differences), start=torch.zeros(())))
        return torch.cat(distances) if distances else torch.zeros(0)

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        layers = zip(self._features(a), self._features(b), strict=True)
        squares = (torch.cdist(u, v, compute_mode="donot_use_mm_for_euclid_dist").square() for u, v in layers)
        return sum(squares, start=torch.zeros(()))

    def _tile_side(self, shape: Sequence[int]) -> int:
        return max(1, NUMBERS_AT_ONCE // prod(shape))

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """A sum of squares of k differences of features; those below 2^-1074 are lost."""
        k = FEATURES * center[0].numel()
        return (k + 6) * UNIT, k * 2.0**-1074

    def _features(self, images: Tensor) -> list[Tensor]:
        """Weighted features, (n, k) for each layer, float64: the distance is their squared Euclidean distance."""
        shape = tuple(images.shape[1:])
        if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < LEAST_SIDE:
            raise SettingError(
                f"metric: LPIPS needs images (1 or 3 channels, height, width) of at least {LEAST_SIDE} x {LEAST_SIDE} "
                f"pixels, got outputs of shape {shape}"
            )
        network: Any = self._network_on(images.device)
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.no_grad(), exact:
            layers = network.net(network.scaling_layer(_scaled(images)))
        return [_weighted(layer, head.model[-1].weight) for layer, head in zip(layers, network.lins, strict=True)]

    def _network_on(self, device: torch.device) -> nn.Module:
        if self._network is None:
            self._network = _load(self.weights)
        return self._network.to(device)

    def __repr__(self) -> str:
        return f"LPIPS(weights={self.weights!r})"


def _scaled(images: Tensor) -> Tensor:
    images = images.double()
    low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
    return torch.where(high > low, 2 * ((images - low) / (high - low)) - 1, 0.0).float()


def _weighted(layer: Tensor, weight: Tensor) -> Tensor:
    """Features (n, channels, h, w) normalised at each position, times the root of their share in the distance."""
    layer = layer.double()
    normalised = layer / (torch.linalg.vector_norm(layer, dim=1, keepdim=True) + 1e-10)
    return (normalised * (weight.double() / layer[0, 0].numel()).sqrt()).flatten(1)


def _load(weights: str) -> nn.Module:
    """The network, frozen, on the CPU. Raises SettingError where the weights cannot be had."""
    found = None if weights == "random" else _vgg16(weights)
    import lpips  # type: ignore[import-untyped]  # here: it takes seconds, which only those who use it should pay

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips asks torchvision in a way that is no longer liked
        torch.manual_seed(0)
        network: Any = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval().requires_grad_(False)
    if found is not None:
        trunk = {name: f"features.{name.partition('.')[2]}" for name in network.net.state_dict()}
        try:
            network.net.load_state_dict({name: found[theirs] for name, theirs in trunk.items()})
        except (KeyError, RuntimeError, AttributeError) as error:
            raise SettingError(f"metric.weights: {weights} does not hold torchvision's VGG-16 ({error})") from error
    return network


def _vgg16(weights: str) -> Mapping[str, Tensor]:
    from torchvision.models import VGG16_Weights

    url = VGG16_Weights.IMAGENET1K_V1.url
    try:
        if weights == "hub":
            return torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True)
        return torch.load(Path(weights), map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        what = f"cannot download {url}" if weights == "hub" else f"cannot read {weights}"
        first = str(error).strip().partition("\n")[0]
        raise SettingError(f"metric.weights: {what} ({first}); give the path of a copy of that file") from error
