"""A center smoothing certificate of an autoencoder under total variation distance, against the published procedure.

Published: Kumar and Goldstein (2021), section 5.3, MNIST-sized images: n = 10^4 (twice) and m = 10^6 samples in batches
of 1000, float32, PyTorch's default network, the medoid by a loop over samples. Ours is no looser: it uses the exact
bound, with samples and delta from `smoothing.matching`. A part of both sides' samples and of the loop's rows is timed
and extrapolated in proportion. Our medoid is computed completely. The network has random weights. The medoid is that of
shifted digits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import median

import torch
from torch import Tensor

from experiments.benchmarks.measuring import Measured, Way, in_turn, tuned
from experiments.benchmarks.medoid import OUTPUTS as PAPER_N
from experiments.benchmarks.medoid import digit_images, loop, tv_distances
from experiments.machine.device import choose_device
from models.autoencoder import Autoencoder
from smoothing import Gaussian, TotalVariation
from smoothing.base_function import FrozenFunction, Precision
from smoothing.batch_size import fastest_batch_size
from smoothing.center_guarantee import CenterSettings
from smoothing.engine import Engine
from smoothing.matching import matched_settings
from smoothing.medoid import best_center
from smoothing.sampling import Procedure, Samples
from smoothing.streams import Stage, Stream

PAPER_M, PAPER_BATCH = 1_000_000, 1000
SHAPE, SIGMA = (1, 28, 28), 0.3
FACTORS = (2.0, 1.5, 1.0)  # h = eps / sigma
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
OUR_SAMPLES, LOOP_ROWS = 4096, 8
GRID = 255
NOISE, METRIC = Gaussian(SIGMA, grid=GRID), TotalVariation()


@dataclass(frozen=True)
class CenterComparison:
    """Seconds for one certificate.

    Attributes:
        found: the measurements by name: plain (`PAPER_BATCH` samples), loop (`LOOP_ROWS` rows of the medoid), ours by
            precision (`OUR_SAMPLES`, with their distances), the network alone, our center of n outputs.
        samples: our n, m and delta, by h. With this n a center is accepted about as often as with the paper's.
        batch_size: our batch size, by precision.
    """

    found: dict[str, Measured]
    samples: dict[float, tuple[int, int, float]]
    batch_size: dict[str, int]

    def ratio(self, h: float, precision: str) -> tuple[float, float, float]:
        """Seconds of the published procedure and of ours, and the median of their ratios."""
        n, m, _ = self.samples[h]
        plain, ours = [], []
        for i in range(len(self.found["plain"].seconds)):
            at = {name: found.seconds[i] for name, found in self.found.items()}
            row = at["loop"] / LOOP_ROWS
            plain.append(at["plain"] / PAPER_BATCH * (2 * PAPER_N + PAPER_M) + row * PAPER_N)
            ours.append(at[precision] / OUR_SAMPLES * (2 * n + m) + at[f"center of {n}"])
        return median(plain), median(ours), median(a / b for a, b in zip(plain, ours, strict=True))

    def lines(self) -> list[str]:
        """The lines of the table."""
        lines = [
            f"{'autoencoder, 28 x 28, Gaussian':39} plain     {PAPER_BATCH / self.found['plain'].median:9.0f}/s "
            f"{self.found['plain'].memory:7.0f} MB"
        ]
        for precision in PRECISIONS:
            ours, bare = self.found[precision], self.found[f"bare {precision}"]
            lines.append(
                f"{'':39} {precision:9} {OUR_SAMPLES / ours.median:9.0f}/s {ours.memory:7.0f} MB "
                f"{'':7}   {bare.times_slower_than(ours):4.0%} of the network alone, "
                f"batches of {self.batch_size[precision]}"
            )
        for h, (n, m, delta) in self.samples.items():
            for precision in PRECISIONS:
                plain_seconds, our_seconds, ratio = self.ratio(h, precision)
                lines.append(
                    f"  certificate under TVD, h = {h:<4g}       {precision:9} {plain_seconds:9.0f} s plain, "
                    f"ours {our_seconds:6.1f} s: {ratio:6.1f}x   n = {n}, m = {m}, delta = {delta:g}"
                )
        return lines


def autoencoder() -> CenterComparison:
    """Measure the published procedure and ours, alternately."""
    noise = Gaussian(SIGMA)
    samples = {h: matched_settings(PAPER_N, PAPER_M, [h * SIGMA], noise, CenterSettings()) for h in FACTORS}
    ways: dict[str, Way] = {"plain": _plain, "loop": _plain_loop}
    sizes: dict[str, int] = {}
    for precision in PRECISIONS:
        sizes[precision] = fastest_batch_size(FrozenFunction(new_network(), precision), _image(), inf)
        ways[precision] = partial(tuned, our_distances, precision, sizes[precision])
        ways[f"bare {precision}"] = partial(tuned, bare_passes, precision, sizes[precision])
    for n in sorted({n for n, *_ in samples.values()}):
        ways[f"center of {n}"] = partial(tuned, _center, n)
    return CenterComparison(in_turn(ways), samples, sizes)


def new_network() -> Autoencoder:
    """The autoencoder with random weights, in eval mode on the device."""
    torch.manual_seed(0)
    return Autoencoder(SHAPE).to(choose_device("auto")).eval().requires_grad_(False)


def _image() -> Tensor:
    levels = (digit_images(1)[0] * GRID).round() / GRID  # on the grid of an image file
    return levels.to(choose_device("auto"))


def our_distances(precision: Precision, batch_size: int, count: int = OUR_SAMPLES) -> Callable[[], object]:
    """Our distances of `count` outputs from the image, to be drawn again by each call."""
    engine, x, noise, metric = Engine(FrozenFunction(new_network(), precision), batch_size), _image(), NOISE, METRIC
    center = x[None]

    def distances() -> Procedure[Tensor]:
        stream = Stream(0, 0, Stage.CERTIFICATION)
        (found,) = yield [Samples(x, noise, lambda outputs: metric(outputs, center), stream, count)]
        return torch.cat(found).cpu()

    return lambda: engine.run(distances())


def bare_passes(precision: Precision, batch_size: int, count: int = OUR_SAMPLES) -> Callable[[], object]:
    """The network alone, on `count` existing inputs."""
    f, x = FrozenFunction(new_network(), precision), _image()
    inputs = x + SIGMA * torch.randn(count, *SHAPE, device=x.device)
    return lambda: [f(batch) for batch in inputs.split(batch_size)]


def _center(n: int) -> Callable[[], object]:
    outputs = digit_images(n).to(choose_device("auto"))
    return lambda: best_center(outputs, METRIC)


def _plain_loop() -> Callable[[], object]:
    outputs = digit_images(PAPER_N).to(choose_device("auto"))
    return lambda: loop(outputs, tv_distances, LOOP_ROWS)


def _plain() -> Callable[[], object]:
    network, x = new_network().to(memory_format=torch.contiguous_format), _image()

    def work() -> Tensor:
        with torch.no_grad():
            batch = x.repeat(PAPER_BATCH, 1, 1, 1)
            return network(batch + SIGMA * torch.randn_like(batch))

    return work
