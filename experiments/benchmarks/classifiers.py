"""Smoothed classifiers, beside the published procedures written plainly, and beside the network alone.

Cohen et al. (2019): one image at a time, float32, batches of 400 copies of the image with noise added, votes counted in
a loop. Levine and Feizi (2021): 64 levels of two images in a batch of 128, float32. Both with the network as PyTorch
makes it. All networks have random weights, and running statistics that are no zeros and ones.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from experiments.benchmarks.measuring import Measured, in_turn
from models.classifiers import ResNet50, ResNetCIFAR, WideResNet
from smoothing import DeterministicSplitting, Gaussian, SmoothedClassifier
from smoothing.base_function import FrozenFunction, Precision
from smoothing.streams import Stage

SIGMA, LEVELS = 0.5, 255
PLAIN_BATCH, DSSN_LEVELS, DSSN_IMAGES = 400, 64, 2
CIFAR = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])


@dataclass(frozen=True)
class Comparison:
    """One piece of work, done plainly and by us.

    Attributes:
        work: what.
        samples: evaluations of the network that each side made in a round.
        plain: the published procedure.
        ours: by precision.
        bare: the network that ours evaluates, alone, at the same batch size, by precision.
        batch_size: ours, by precision.
    """

    work: str
    samples: int
    plain: Measured
    ours: dict[str, Measured]
    bare: dict[str, Measured]
    batch_size: dict[str, int]

    def lines(self) -> list[str]:
        """A line for each side, for the table."""
        rate = self.samples / self.plain.median
        lines = [f"{self.work:34} plain     {rate:9.0f}/s {self.plain.memory:7.0f} MB"]
        for precision, ours in self.ours.items():
            share = self.bare[precision].times_slower_than(ours)
            lines.append(
                f"{'':34} {precision:9} {self.samples / ours.median:9.0f}/s {ours.memory:7.0f} MB "
                f"{self.plain.times_slower_than(ours):6.1f}x   {share:4.0%} of the network alone, "
                f"batches of {self.batch_size[precision]}"
            )
        return lines


def resnet110(device: torch.device, samples: int) -> Comparison:
    """Votes of ResNet-110 at noisy copies of one CIFAR-10-sized image."""
    network = ResNetCIFAR(10, 3, *CIFAR, depth=110)
    return votes("ResNet-110, 32 x 32, Gaussian", network, (3, 32, 32), device, samples)


def resnet50(device: torch.device, samples: int) -> Comparison:
    """Votes of ResNet-50 at noisy copies of one ImageNet-sized image."""
    network = ResNet50(1000, 3, *CIFAR)
    return votes("ResNet-50, 224 x 224, Gaussian", network, (3, 224, 224), device, samples)


def votes(work: str, network: nn.Module, shape: tuple[int, ...], device: torch.device, samples: int) -> Comparison:
    """Cohen et al.'s Certify spends its time in this."""
    network, x = _ready(network, device), torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    plain = _plain(network)

    def ours(precision: Precision) -> tuple[SmoothedClassifier, Callable[[], object]]:
        g = SmoothedClassifier(network, Gaussian(SIGMA), batch_size=None, precision=precision)
        g.engine.tune(x)
        return g, lambda: g.votes(x, samples, 0, Stage.ESTIMATION)

    return _compared(work, samples, lambda: _plain_votes(plain, x, samples), ours, x)


def dssn(device: torch.device) -> Comparison:
    """DSSN certificates of two CIFAR-10-sized images by WideResNet-40-2, at sigma = 0.5: 441 levels each."""
    network = _ready(WideResNet(10, 3, *CIFAR, depth=40, width=2), device)
    noise = DeterministicSplitting(SIGMA, LEVELS, (3, 32, 32))
    draw = torch.Generator().manual_seed(0)
    images = (torch.randint(LEVELS + 1, (DSSN_IMAGES, 3, 32, 32), generator=draw) / LEVELS).to(device)
    plain, samples = _plain(network), DSSN_IMAGES * noise.steps

    def ours(precision: Precision) -> tuple[SmoothedClassifier, Callable[[], object]]:
        g = SmoothedClassifier(network, noise, batch_size=None, precision=precision)
        g.engine.tune(images[0])
        return g, lambda: list(g.engine.run_all(g.certifying_exactly(x) for x in images))

    return _compared(
        f"WideResNet-40-2, DSSN, sigma = {SIGMA}", samples, lambda: _plain_levels(plain, images, noise), ours, images[0]
    )


def _compared(
    work: str,
    samples: int,
    plain: Callable[[], object],
    ours: Callable[[Precision], tuple[SmoothedClassifier, Callable[[], object]]],
    x: Tensor,
) -> Comparison:
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    ways: dict[str, Callable[[], object]] = {"plain": plain}
    sizes: dict[str, int] = {}
    for precision in precisions:
        g, certify = ours(precision)
        sizes[precision] = g.engine.batch_size or 0
        ways[precision] = certify
        ways[f"bare {precision}"] = _bare(g.f, x, samples, sizes[precision])
    found = in_turn(ways)
    return Comparison(
        work,
        samples,
        found["plain"],
        {precision: found[precision] for precision in precisions},
        {precision: found[f"bare {precision}"] for precision in precisions},
        sizes,
    )


def _bare(f: FrozenFunction, x: Tensor, samples: int, batch_size: int) -> Callable[[], object]:
    """The network alone, on inputs that are there, as many as were asked for."""
    batch = x + SIGMA * torch.randn(batch_size, *x.shape, device=x.device)
    edges = [*range(0, samples, batch_size), samples]
    return lambda: [f(batch[: b - a]) for a, b in pairwise(edges)]


def _ready(network: nn.Module, device: torch.device) -> nn.Module:
    draw = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=draw)
            module.running_var.uniform_(0.5, 2, generator=draw)
    return network.to(device).eval().requires_grad_(False)


def _plain(network: nn.Module) -> nn.Module:
    """The network as PyTorch makes it: rows first in memory."""
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format)


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
    """Each batch: some levels of all images, split in floating point as the paper's formula says."""
    lam, votes = 2 * noise.lam, []
    offsets = noise.offsets.to(images.device)
    with torch.no_grad():
        for first in range(0, noise.steps, DSSN_LEVELS):
            t = torch.arange(first, min(first + DSSN_LEVELS, noise.steps), device=images.device)
            s = ((offsets + t.view(-1, 1, 1, 1)) % noise.steps + 0.5) / LEVELS
            x = images.repeat_interleave(len(t), dim=0)
            s = s.repeat(len(images), 1, 1, 1)
            upper = lam * torch.ceil((x - s) / lam) + s
            noisy = (upper.clamp(max=1) + (upper - lam).clamp(min=0)) / 2
            votes.append(nn.functional.softmax(network(noisy), dim=1).argmax(1).cpu())
    return votes
