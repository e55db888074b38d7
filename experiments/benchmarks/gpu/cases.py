"""Small inputs, noises and functions, on which devices are compared."""

import torch
from torch import Tensor, nn

from smoothing import (
    L2,
    Ablation,
    Angular,
    BandAblation,
    BlockAblation,
    Cosine,
    DeterministicSplitting,
    EnclosingBallL2,
    FeatureDistance,
    FiniteSpace,
    Gaussian,
    Hamming,
    Hausdorff,
    Jaccard,
    MaskJaccard,
    Metric,
    Noise,
    Splitting,
    TotalVariation,
    Uniform,
)
from smoothing.base_function import FrozenFunction
from smoothing.cursor import noisy_inputs
from smoothing.engine import Engine
from smoothing.sampling import Procedure, Samples, whole
from smoothing.streams import Stage, Stream

SIGMA, LEVELS, HIDDEN = 0.25, 255, 32
KEPT, SIDE = 10, 2  # pixels that are not hidden
LEAD = 0.25  # of the first class, so that it has most votes but not all


def noises(shape: tuple[int, ...]) -> list[Noise]:
    """Every noise, for inputs (*shape) with values k / 255."""
    return [
        Gaussian(SIGMA),
        Gaussian(SIGMA, grid=LEVELS),
        Uniform(SIGMA),
        Uniform(SIGMA, grid=LEVELS),
        Ablation(KEPT, shape),
        BandAblation(SIDE, shape),
        BlockAblation(SIDE, shape),
        Splitting(SIGMA, LEVELS),
        DeterministicSplitting(SIGMA, LEVELS, shape),
    ]


def image(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """A random image with values k / 255, (*shape)."""
    draw = torch.Generator().manual_seed(0)
    return (torch.randint(LEVELS + 1, shape, generator=draw) / LEVELS).to(device)


def convolutions(shape: tuple[int, int, int]) -> nn.Module:
    """A network slower than its noise, with several likely classes under it: (b, *shape) -> scores (b, 10)."""
    torch.manual_seed(0)
    layers = [Gray(), nn.Conv2d(shape[0], 32, 3, padding=1), nn.ReLU()]
    for _ in range(6):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
    last = nn.Linear(32, 10)
    return _undecided(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval(), last, shape, 0.0)


def classifier() -> nn.Module:
    """A network with several likely classes under noise, the first above all: (b, 1, 8, 8) -> scores (b, 10)."""
    torch.manual_seed(0)
    last = nn.Linear(HIDDEN, 10)
    return _undecided(_network(last), last, (1, 8, 8), LEAD)


def _undecided(network: nn.Module, last: nn.Linear, shape: tuple[int, ...], lead: float) -> nn.Module:
    """The same network with scores of 0 at `image`, and of `lead` for the first class."""
    with torch.no_grad():
        last.bias.sub_(network(image(shape, torch.device("cpu"))[None])[0])
        last.bias[0] += lead
    return network


def spaces() -> list[tuple[Metric, nn.Module]]:
    """Every metric that brings its weights, with a network (b, 1, 8, 8) -> outputs of its space. LPIPS is left out."""
    torch.manual_seed(0)
    images = nn.Sequential(nn.Linear(HIDDEN, 3 * 64), nn.Unflatten(1, (3, 8, 8)))
    boxes = nn.Sequential(nn.Linear(HIDDEN, 4), Boxes())
    return [
        (L2(), _network(nn.Linear(HIDDEN, 6))),
        (EnclosingBallL2(), _network(nn.Linear(HIDDEN, 6))),
        (Angular(), _network(nn.Linear(HIDDEN, 6))),
        (Cosine(), _network(nn.Linear(HIDDEN, 6))),
        (TotalVariation(), _network(nn.Sequential(nn.Linear(HIDDEN, 16), nn.Unflatten(1, (1, 4, 4))))),
        (FeatureDistance(Features()), _network(images)),
        (Hausdorff(), _network(nn.Sequential(nn.Linear(HIDDEN, 10), nn.Unflatten(1, (5, 2))))),
        (Jaccard(), _network(boxes)),
        (MaskJaccard(), _network(nn.Sequential(nn.Linear(HIDDEN, 32), Classes(2, 16)))),
        (Hamming(), _network(nn.Sequential(nn.Linear(HIDDEN, 48), Classes(3, 16)))),
        (FiniteSpace([[0, 1, 2], [1, 0, 1], [2, 1, 0]]), _network(nn.Sequential(nn.Linear(HIDDEN, 3), Classes(3, 1)))),
    ]


class Gray(nn.Module):
    """Hidden pixels (NaN) become gray."""

    def forward(self, images: Tensor) -> Tensor:
        return images.nan_to_num(nan=0.5)


class Boxes(nn.Module):
    """(b, 4) numbers as boxes (x1, y1, x2, y2), (b, 4), that are not empty."""

    def forward(self, found: Tensor) -> Tensor:
        middle, side = 0.5 + 0.1 * found[:, :2], 0.2 + 0.2 * found[:, 2:].sigmoid()
        return torch.cat([middle - side, middle + side], dim=1)


class Classes(nn.Module):
    """The class of each position: (b, classes * positions) scores -> (b, positions), float."""

    def __init__(self, classes: int, positions: int) -> None:
        super().__init__()
        self.classes, self.positions = classes, positions

    def forward(self, found: Tensor) -> Tensor:
        return found.view(len(found), self.classes, self.positions).argmax(dim=1).float()


class Features(nn.Module):
    """One stage of features: (b, 3, 8, 8) -> [(b, 4, 6, 6)]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.layer(images)]


def _network(head: nn.Module) -> nn.Module:
    body = nn.Sequential(Gray(), nn.Flatten(), nn.Linear(64, HIDDEN), nn.Tanh())
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=HIDDEN**-0.5)
    return nn.Sequential(body, head).eval()


def by_engine(f: FrozenFunction, noise: Noise, x: Tensor, count: int, batch_size: int, example: int = 0) -> Tensor:
    """The outputs at `count` samples around x, (count, *output shape), as the engine finds them: on two streams."""

    def procedure() -> Procedure[Tensor]:
        (found,) = yield [Samples(x, noise, whole, Stream(0, example, Stage.ESTIMATION), count)]
        return torch.cat(found)

    return Engine(f, batch_size).run(procedure())


def by_loop(f: FrozenFunction, noise: Noise, x: Tensor, count: int, batch_size: int, example: int = 0) -> Tensor:
    """As `by_engine`, by a loop over batches on one stream."""
    stream = Stream(0, example, Stage.ESTIMATION)
    return torch.cat([f(batch) for batch in noisy_inputs(x, noise, count, stream, batch_size)])
