"""Perceptual distance between images."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from smoothing.arithmetic import fixed_arithmetic
from smoothing.errors import SettingError
from smoothing.metrics.feature_distance import SquaredFeatureDistance, normalised, rounding_of
from smoothing.user_code import first_line

FEATURES = 122  # for each pixel: 64 + 128 / 4 + 256 / 16 + 512 / 64 + 512 / 256
LEAST_SIDE = 16  # pixels, because four poolings halve it


class LPIPS(SquaredFeatureDistance):
    """Learned perceptual distance with VGG-16 features (Zhang et al. 2018, version 0.1); gamma = 2.

    d(a, b) = sum over five layers l of mean over positions p of sum over channels c of w_lc (y_lpc(a) - y_lpc(b))^2,
    where y are features of unit norm at each position. So it is a squared Euclidean distance of feature vectors, and
    |u - w|^2 <= 2 (|u - v|^2 + |v - w|^2). Each image (1 or 3 channels, height, width) is first scaled to [-1, 1] by
    its own smallest and largest value; a constant image is scaled to 0. The inequality still holds, because the scaling
    depends on one image only.

    Features are computed in float32 (never TF32). The certified distance is that of these features, in float64. The
    square root of the distance in exact arithmetic differs from its root by at most 1e-6 (tested, with random weights).
    This difference is not accounted for.

    It needs the package lpips: `pip install certified-smoothing[lpips]`.

    Args:
        weights: of VGG-16. "hub": torchvision's, downloaded once. A path: a file with these weights
            (vgg16-397923af.pth). "random": for tests, not a perceptual distance. The weights w of the layers are part
            of the package lpips.

    Raises:
        SettingError: when a distance is computed, if the weights cannot be loaded or the outputs are not images.

    Examples:
        >>> metric = LPIPS()  # the weights are loaded when the first distance is computed
        >>> metric, metric.gamma
        (LPIPS(weights='hub'), 2.0)
    """

    identified_by_files: ClassVar[bool] = True  # files that the arguments name are part of a run's identity

    def __init__(self, weights: str = "hub") -> None:
        self.weights = weights
        self._network: nn.Module | None = None

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for a sum of k squared differences of features. Squares below 2^-1074 are lost."""
        return rounding_of(FEATURES * center[0].numel())

    def _features(self, images: Tensor) -> list[Tensor]:
        """Weighted features, (n, k) for each layer, float64: d is the sum over layers of their squared distances."""
        shape = tuple(images.shape[1:])
        if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < LEAST_SIDE:
            raise SettingError(
                f"metric: LPIPS needs images (1 or 3 channels, height, width) of at least {LEAST_SIDE} x {LEAST_SIDE} "
                f"pixels, got outputs of shape {shape}"
            )
        network: Any = self._network_on(images.device)
        with fixed_arithmetic(images.device):
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
    """Features (n, channels, h, w) -> (n, k): normalised at each position, times the root of their weight in d."""
    return (normalised(layer) * weight.double().sqrt()).flatten(1)


def _load(weights: str) -> nn.Module:
    """The network, frozen, on the CPU. Raises SettingError if the weights cannot be loaded."""
    found = None if weights == "random" else _vgg16(weights)
    import lpips  # type: ignore[import-untyped]  # here, because this import takes seconds

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips uses a deprecated argument of torchvision
        torch.default_generator.manual_seed(0)
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
        raise SettingError(
            f"metric.weights: {what} ({first_line(error)}); set it to the path of a copy of that file"
        ) from error
