"""Squared distances between the features of a network."""

import copy
import importlib
from abc import abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from smoothing.arithmetic import fixed_arithmetic
from smoothing.errors import SettingError
from smoothing.metrics.base import UNIT, Metric
from smoothing.user_code import first_line, is_out_of_memory

NUMBERS_AT_ONCE = 2**20  # output numbers in one batch of the network; their features may be many times as many
# Such batches whose features are kept; enough for the 30 candidates of Smooth-HD at 128 x 128 pixels.
KEPT_TILES = 2
TINY = 1e-10  # is added to norms, so that features of 0 stay 0
LARGEST = 4.0  # squared distance of two vectors of norm at most 1


class SquaredFeatureDistance(Metric):
    """d(a, b) = |F(a) - F(b)|^2 for feature vectors F of outputs; gamma = 2.

    A subclass implements F as `_features`, in parts. The relaxed triangle inequality holds for every F. Let
    u = F(a) - F(b) and v = F(b) - F(c). Then |u + v|^2 + |u - v|^2 = 2 |u|^2 + 2 |v|^2, so
    d(a, c) = |u + v|^2 <= 2 (d(a, b) + d(b, c)). Equality needs u = v, so no smaller gamma serves if F(b) can be
    the midpoint of F(a) and F(c).
    """

    gamma = 2.0

    @abstractmethod
    def _features(self, outputs: Tensor) -> list[Tensor]:
        """The parts of F: for each, (n, k) with a k of its own, float64. Row i depends on output i only."""

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        side, distances = self._tile_side(a.shape[1:]), []
        of_one = self._features(b) if len(b) == 1 else None
        for start in range(0, len(a), side):
            features = of_one or self._features(b[start : start + side])
            differences = (u - v for u, v in zip(self._features(a[start : start + side]), features, strict=True))
            distances.append(sum((d.square().sum(dim=1) for d in differences), start=torch.zeros(())))
        return torch.cat(distances) if distances else torch.zeros(0, device=a.device)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Metric.pairwise`. The features of some rows are kept while all columns pass."""
        side = self._tile_side(a.shape[1:])
        rows = []
        for part in a.split(KEPT_TILES * side):
            features = [torch.cat(stage) for stage in zip(*map(self._features, part.split(side)), strict=True)]
            rows.append(torch.cat([self._from(features, self._features(c)) for c in b.split(side)], dim=1))
        return torch.cat(rows)

    def _all_distances(self, a: Tensor, b: Tensor) -> Tensor:
        return self._from(self._features(a), self._features(b))

    def _from(self, of_a: list[Tensor], of_b: list[Tensor]) -> Tensor:
        """All pairwise distances from the parts of F at n and k outputs: (n, k)."""
        parts = zip(of_a, of_b, strict=True)
        squares = (torch.cdist(u, v, compute_mode="donot_use_mm_for_euclid_dist").square() for u, v in parts)
        return sum(squares, start=torch.zeros(()))

    def _tile_side(self, shape: Sequence[int]) -> int:
        return max(1, NUMBERS_AT_ONCE // prod(shape))

    def rounding(self, center: Tensor, dtype: torch.dtype) -> tuple[float, float]:
        """Bounds for a sum of k squared differences of features. Squares below 2^-1074 are lost."""
        return rounding_of(sum(part.shape[1] for part in self._features(center[None])))


class FeatureDistance(SquaredFeatureDistance):
    """Squared distance between the features of any network, with equal weights; gamma = 2.

    d(a, b) = sum over stages l of mean over positions p of sum over channels c of (y_lpc(a) - y_lpc(b))^2, where y are
    features of unit norm at each position. This is the form of Zhang et al. (2018), but nothing is learned from people:
    all weights are 1. So it is not LPIPS, and its numbers cannot be compared with those of LPIPS. A distance is at
    most 4 for each stage. For gamma see `SquaredFeatureDistance`.

    Features are computed in float32 (never TF32). The certified distance is that of these features, in float64.

    Args:
        features: the network, (n, *output shape), float32 -> a sequence of feature maps, (n, channels, ...) for each
            stage. Row i of each may depend on output i only. A copy in eval mode, made now, is used. Or a dictionary:
            its class, as `_target_`, and the arguments of the class. It is built when the first distance is computed,
            with torch seeded, so that it is the same network in every process.

    Raises:
        SettingError: features is neither. When a distance is computed: there is no such class, or the network fails or
            does not return feature maps.

    Examples:
        >>> class Twice(nn.Module):
        ...     def forward(self, images):
        ...         return [images, 2 * images]
        >>> metric = FeatureDistance(Twice())
        >>> a, b = torch.tensor([[[1.0]], [[0.0]]]), torch.tensor([[[0.0]], [[3.0]]])  # two channels, one position
        >>> metric(a[None], b[None])  # unit vectors at a right angle: 2 for each stage
        tensor([4.0000], dtype=torch.float64)
    """

    identified_by_files: ClassVar[bool] = True  # files that the arguments name are part of a run's identity

    def __init__(self, features: nn.Module | dict[str, Any]) -> None:
        if not isinstance(features, nn.Module | dict):
            raise SettingError(f"metric.features: expected a network, or its _target_, got {type(features).__name__}")
        self.features = dict(features) if isinstance(features, dict) else features
        self._network = _frozen(copy.deepcopy(features)) if isinstance(features, nn.Module) else None
        self._stages: int | None = None

    def largest_distance(self, shape: Sequence[int]) -> float:
        """4 for each stage. The network says how many stages it has."""
        if self._stages is None:
            self._features(torch.zeros(1, *shape))
        return LARGEST * (self._stages or 0)

    def _features(self, outputs: Tensor) -> list[Tensor]:
        network = self._network_on(outputs.device)
        with fixed_arithmetic(outputs.device):
            try:
                maps = network(outputs.to(torch.float32, copy=True))  # it may work in place
            except (RuntimeError, ValueError, TypeError) as error:
                if is_out_of_memory(error):
                    raise
                shape = tuple(outputs.shape[1:])
                raise SettingError(
                    f"metric.features: the network fails on outputs of shape {shape}: {first_line(error)}"
                ) from error
        _require_maps(maps, len(outputs))
        self._stages = len(maps)
        return [normalised(part).flatten(1) for part in maps]

    def _network_on(self, device: torch.device) -> nn.Module:
        if self._network is None:
            assert isinstance(self.features, dict)
            self._network = _frozen(_built(self.features))
        return self._network.to(device)

    def __repr__(self) -> str:
        given = self.features
        name = given.get("_target_") if isinstance(given, dict) else type(given).__name__
        return f"FeatureDistance({name})"


def _frozen(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)


def normalised(features: Tensor) -> Tensor:
    """Features (n, channels, *positions) with norm 1 at each position, over the root of the positions; float64.

    The squared distance of two of them is the mean over positions of the squared distance of unit vectors.
    """
    features = features.double()
    positions = max(1, features[0, 0].numel()) if len(features) else 1
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + TINY) / positions**0.5


def rounding_of(k: int) -> tuple[float, float]:
    """Bounds (relative, absolute) on the rounding error of a sum of k squared differences of float64 numbers."""
    return (k + 6) * UNIT, k * 2.0**-1074


def _built(settings: dict[str, Any]) -> nn.Module:
    """The network of a class, as `_target_`, and its arguments. Raises SettingError if there is none."""
    own = dict(settings)
    path = str(own.pop("_target_", ""))
    module, _, name = path.rpartition(".")
    try:
        make = getattr(importlib.import_module(module), name)
        with torch.random.fork_rng(devices=[]):
            # Weights that are not loaded are the same in every process: it is one metric. `torch.manual_seed` would
            # also seed the caller's GPUs.
            torch.default_generator.manual_seed(0)
            made = make(**own)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise SettingError(f"metric.features: expected the class of a network, got {path} ({error})") from error
    if not isinstance(made, nn.Module):
        raise SettingError(f"metric.features: expected the class of a network, got {path}")
    return made


def _require_maps(maps: Any, n: int) -> None:
    """Raises SettingError unless these are feature maps (n, channels, ...), at least one."""
    several = isinstance(maps, list | tuple) and len(maps) > 0
    if not several or not all(isinstance(m, Tensor) and m.dim() > 1 and len(m) == n for m in maps):
        found = [tuple(m.shape) if isinstance(m, Tensor) else type(m).__name__ for m in maps] if several else []
        raise SettingError(
            "metric.features: expected a list of feature maps (n, channels, ...), got "
            f"{found or type(maps).__name__}; let forward return the outputs of some layers"
        )
