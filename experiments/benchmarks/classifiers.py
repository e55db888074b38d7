"""Smoothed classifiers, compared with a plain version of the published procedures and with the network alone.

Cohen et al. (2019): one image at a time, float32, batches of 400 noisy copies of the image, votes counted in a loop.
Levine and Feizi (2021): 64 levels of two images in a batch of 128, float32. Both use PyTorch's default network. All
networks but EfficientNet-Lite0 have random weights, and running statistics other than zeros and ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import inf

import numpy as np
import torch
from torch import Tensor, nn

from experiments.benchmarks.measuring import Measured, Way, in_turn, tuned
from experiments.machine.device import choose_device, keep_freed_memory
from models.classifiers import EfficientNetLite0, ResNet50, ResNetCIFAR, WideResNet
from smoothing import DeterministicSplitting, Gaussian, SmoothedClassifier
from smoothing.base_function import FrozenFunction, Precision
from smoothing.batch_size import fastest_batch_size
from smoothing.streams import Stage

SIGMA, LEVELS = 0.5, 255
PLAIN_BATCH, DSSN_LEVELS, DSSN_IMAGES = 400, 64, 2
Make = Callable[[], nn.Module]
Shape = tuple[int, ...]
CIFAR = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])


@dataclass(frozen=True)
class Comparison:
    """One piece of work, done by the published procedure and by ours.

    Attributes:
        work: name of the work.
        samples: evaluations of the network by each side in a round.
        plain: measurement of the published procedure.
        ours: our measurements, by precision.
        bare: measurements of our network alone, at the same batch size, by precision.
        batch_size: our batch size, by precision.
    """

    work: str
    samples: int
    plain: Measured
    ours: dict[str, Measured]
    bare: dict[str, Measured]
    batch_size: dict[str, int]

    def lines(self) -> list[str]:
        """The lines of the table, one for each side."""
        rate = self.samples / self.plain.median
        lines = [f"{self.work:39} plain     {rate:9.0f}/s {self.plain.memory:7.0f} MB"]
        for precision, ours in self.ours.items():
            share = self.bare[precision].times_slower_than(ours)
            lines.append(
                f"{'':39} {precision:9} {self.samples / ours.median:9.0f}/s {ours.memory:7.0f} MB "
                f"{self.plain.times_slower_than(ours):6.1f}x   {share:4.0%} of the network alone, "
                f"batches of {self.batch_size[precision]}"
            )
        return lines


PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def resnet110(samples: int) -> Comparison:
    """Votes of ResNet-110 on noisy copies of one CIFAR-10-sized image."""
    make = partial(ResNetCIFAR, 10, 3, *CIFAR, depth=110)
    return votes("ResNet-110, 32 x 32, Gaussian", make, (3, 32, 32), samples)


def resnet50(samples: int) -> Comparison:
    """Votes of ResNet-50 on noisy copies of one ImageNet-sized image."""
    return votes("ResNet-50, 224 x 224, Gaussian", partial(ResNet50, 1000, 3, *CIFAR), (3, 224, 224), samples)


def efficientnet(samples: int) -> Comparison:
    """Votes of EfficientNet-Lite0 with its ImageNet weights on noisy copies of one ImageNet-sized image."""
    return votes("EfficientNet-Lite0, 224 x 224, Gaussian", partial(EfficientNetLite0, 1000, 3), (3, 224, 224), samples)


def dssn() -> Comparison:
    """DSSN certificates of two CIFAR-10-sized images by WideResNet-40-2, at sigma = 0.5: 441 levels each."""
    make = partial(WideResNet, 10, 3, *CIFAR, depth=40, width=2)
    noise = DeterministicSplitting(SIGMA, LEVELS, (3, 32, 32))
    return levels(f"WideResNet-40-2, DSSN, sigma = {SIGMA}", make, noise, DSSN_IMAGES)


def levels(work: str, make: Make, noise: DeterministicSplitting, count: int) -> Comparison:
    """Measure DSSN certificates of `count` images."""
    plain, ours = partial(_plain_dssn, make, noise, count), partial(our_dssn, make, noise, count)
    return _compared(work, count * noise.steps, plain, ours, make, noise.shape)


def votes(work: str, make: Make, shape: Shape, samples: int) -> Comparison:
    """Measure the counting of votes, where Cohen et al.'s Certify spends its time."""
    plain, ours = partial(_plain_cohen, make, shape, samples), partial(our_votes, make, shape, samples)
    return _compared(work, samples, plain, ours, make, shape)


def _compared(
    work: str, samples: int, plain: Way, ours: Callable[..., Callable[[], object]], make: Make, shape: Shape
) -> Comparison:
    sizes: dict[str, int] = {}
    ways: dict[str, Way] = {"plain": plain}
    for precision in PRECISIONS:
        x = _images(1, shape)[0]
        keep_freed_memory()
        sizes[precision] = fastest_batch_size(FrozenFunction(ready(make), precision), x, inf)
        ways[precision] = partial(tuned, ours, precision, sizes[precision])
        ways[f"bare {precision}"] = partial(tuned, bare_passes, make, shape, samples, precision, sizes[precision])
    found = in_turn(ways)
    return Comparison(
        work,
        samples,
        found["plain"],
        {precision: found[precision] for precision in PRECISIONS},
        {precision: found[f"bare {precision}"] for precision in PRECISIONS},
        sizes,
    )


def our_votes(make: Make, shape: Shape, samples: int, precision: Precision, batch_size: int) -> Callable[[], object]:
    """Our votes on noisy copies of one image (*shape), to be counted again by each call."""
    g = SmoothedClassifier(ready(make), Gaussian(SIGMA, grid=LEVELS), batch_size=batch_size, precision=precision)
    x = _images(1, shape)[0]
    return lambda: g.votes(x, samples, 0, Stage.ESTIMATION)


def our_dssn(
    make: Make, noise: DeterministicSplitting, count: int, precision: Precision, batch_size: int
) -> Callable[[], object]:
    """Our DSSN certificates of `count` images, to be made again by each call."""
    images = _images(count, noise.shape, noise.levels)
    g = SmoothedClassifier(ready(make), noise, batch_size=batch_size, precision=precision)
    return lambda: list(g.engine.run_all(g.certifying_exactly(x) for x in images))


def bare_passes(make: Make, shape: Shape, samples: int, precision: Precision, batch_size: int) -> Callable[[], object]:
    """The network alone, on existing inputs, for the given number of samples."""
    f = FrozenFunction(ready(make), precision)
    batch = _images(batch_size, shape)
    edges = [*range(0, samples, batch_size), samples]
    return lambda: [f(batch[: b - a]) for a, b in pairwise(edges)]


def _plain_cohen(make: Make, shape: Shape, samples: int) -> Callable[[], object]:
    network, x = ready(make).to(memory_format=torch.contiguous_format), _images(1, shape)[0]
    return lambda: _plain_votes(network, x, samples)


def _plain_dssn(make: Make, noise: DeterministicSplitting, count: int) -> Callable[[], object]:
    network = ready(make).to(memory_format=torch.contiguous_format)
    images = _images(count, noise.shape, noise.levels)
    return lambda: [_plain_levels(network, some, noise) for some in images.split(DSSN_IMAGES)]


def ready(make: Make) -> nn.Module:
    """A network in eval mode on the device, with random weights and statistics if it brings none."""
    torch.manual_seed(0)
    network = make()
    for module in [] if getattr(network, "pretrained", False) else network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.to(choose_device("auto")).eval().requires_grad_(False)


def _images(count: int, shape: Shape, levels: int = LEVELS) -> Tensor:
    """Random images with values k / levels: (count, *shape)."""
    draw = torch.Generator().manual_seed(0)
    return (torch.randint(levels + 1, (count, *shape), generator=draw) / levels).to(choose_device("auto"))


def _plain_votes(network: nn.Module, x: Tensor, samples: int) -> np.ndarray:
    counts = np.zeros(1000, dtype=int)
    with torch.no_grad():
        for first in range(0, samples, PLAIN_BATCH):
            batch = x.repeat(min(PLAIN_BATCH, samples - first), 1, 1, 1)
            noise = torch.randn_like(batch) * SIGMA
            for index in network(batch + noise).argmax(1).cpu().numpy():
                counts[index] += 1
    return counts


def _plain_levels(network: nn.Module, images: Tensor, noise: DeterministicSplitting) -> list[Tensor]:
    """The published procedure: each batch has some levels of all images, split in floating point by its formula."""
    lam, votes = 2 * noise.lam, []
    offsets = noise.offsets.to(images.device)
    with torch.no_grad():
        for first in range(0, noise.steps, DSSN_LEVELS):
            t = torch.arange(first, min(first + DSSN_LEVELS, noise.steps), device=images.device)
            s = ((offsets + t.view(-1, 1, 1, 1)) % noise.steps + 0.5) / noise.levels
            x = images.repeat_interleave(len(t), dim=0)
            s = s.repeat(len(images), 1, 1, 1)
            upper = lam * torch.ceil((x - s) / lam) + s
            noisy = (upper.clamp(max=1) + (upper - lam).clamp(min=0)) / 2
            votes.append(nn.functional.softmax(network(noisy), dim=1).argmax(1).cpu())
    return votes
