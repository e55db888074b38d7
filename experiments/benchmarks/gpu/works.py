"""The work whose speed counts: votes, DSSN certificates and distances, each with its network's bare forward passes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from experiments.benchmarks import autoencoder, classifiers
from experiments.benchmarks.classifiers import CIFAR, Make, ready
from models.classifiers import ResNet50, ResNetCIFAR, WideResNet
from smoothing import DeterministicSplitting
from smoothing.base_function import Precision

Prepared = Callable[[], object]


@dataclass(frozen=True)
class Work:
    """One kind of work of one network.

    Attributes:
        name: of the work.
        network: makes the network, on the device.
        shape: of an input.
        samples: evaluations of the network in one go.
        ours: (precision, batch size) -> the work, to be done again by each call.
        bare: (precision, batch size) -> as many bare forward passes.
        batch_size: a usual batch size on a GPU.
        target: samples/s to reach on an H100 or H200 in bfloat16; 0 for none.
    """

    name: str
    network: Callable[[], nn.Module]
    shape: tuple[int, ...]
    samples: int
    ours: Callable[[Precision, int], Prepared]
    bare: Callable[[Precision, int], Prepared]
    batch_size: int
    target: float = 0


def works(tiny: bool) -> list[Work]:
    """ResNet-50 and ResNet-110 (votes), WideResNet-40-2 (DSSN) and the autoencoder. Tiny: small ones."""
    depth, deep, width, side = (8, 10, 1, 32) if tiny else (110, 40, 2, 224)
    # So many that the last batch, which has unused rows, hardly counts:
    images, distances = (1, 100) if tiny else (200, 200_000)
    wide = partial(WideResNet, 10, 3, *CIFAR, depth=deep, width=width)
    splitting = DeterministicSplitting(classifiers.SIGMA, classifiers.LEVELS, (3, 32, 32))
    levels = images * splitting.steps
    return [
        _votes(
            f"ResNet-50, {side} x {side}",
            partial(ResNet50, 1000, 3, *CIFAR),
            shape=(3, side, side),
            samples=20 if tiny else 10_000,
            batch_size=256,
            target=10_000,
        ),
        _votes(
            f"ResNet-{depth}, 32 x 32",
            partial(ResNetCIFAR, 10, 3, *CIFAR, depth=depth),
            shape=(3, 32, 32),
            samples=100 if tiny else 50_000,
            batch_size=1024,
            target=50_000,
        ),
        Work(
            name=f"WideResNet-{deep}-{width}, DSSN",
            network=partial(ready, wide),
            shape=(3, 32, 32),
            samples=levels,
            ours=partial(classifiers.our_dssn, wide, splitting, images),
            bare=partial(classifiers.bare_passes, wide, (3, 32, 32), levels),
            batch_size=512,
        ),
        Work(
            name="autoencoder, distances",
            network=autoencoder.new_network,
            shape=autoencoder.SHAPE,
            samples=distances,
            ours=partial(autoencoder.our_distances, count=distances),
            bare=partial(autoencoder.bare_passes, count=distances),
            batch_size=2048,
        ),
    ]


def _votes(name: str, make: Make, shape: tuple[int, ...], samples: int, batch_size: int, target: float) -> Work:
    ours, bare = (partial(way, make, shape, samples) for way in (classifiers.our_votes, classifiers.bare_passes))
    return Work(name, partial(ready, make), shape, samples, ours, bare, batch_size, target)


def sized(work: Work, device: torch.device) -> int:
    """The work's usual batch size on a GPU; 32 on a CPU."""
    return work.batch_size if device.type == "cuda" else 32
