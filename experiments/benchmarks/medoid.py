"""The medoid of many outputs, compared with the loop over outputs in the paper's procedure.

The loop is a plain version: for each output, the distances to all outputs in float32 and their median.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from experiments.benchmarks.measuring import ROUNDS, seconds
from experiments.data.digits import Digits
from smoothing import L2, Angular, Metric, TotalVariation
from smoothing.medoid import best_center

OUTPUTS, SIDE = 10_000, 28
LOOP_ROWS = 12  # timed rows of the loop's 10^4 in each round
CHECKED = 500  # outputs for which the loop is run completely, to compare the centers


@dataclass(frozen=True)
class MedoidRatio:
    """Speed of our medoid compared with the loop.

    Attributes:
        metric: the distance.
        loop_rows: outputs per second that the loop processes; median over rounds.
        our_rows: number of outputs divided by the seconds for our medoid; median over rounds.
        ratio: median over rounds of the ratio of seconds.
        same_center: whether the complete loop over the first `CHECKED` outputs finds the same center.
    """

    metric: str
    loop_rows: float
    our_rows: float
    ratio: float
    same_center: bool


def medoid_ratios(outputs: Tensor | None = None) -> list[MedoidRatio]:
    """For each metric, time our medoid and `LOOP_ROWS` rows of the loop, alternately, `ROUNDS` times.

    Args:
        outputs: images (n, channels, height, width), float32. Default: `digit_images`.
    """
    images = digit_images(OUTPUTS) if outputs is None else outputs
    return [_ratio(images, metric, distances) for metric, distances in LOOPS]


def digit_images(n: int) -> Tensor:
    """Digits of 28 x 28 pixels, shifted at random by up to two pixels, random contrast: (n, 1, 28, 28), in [0, 1]."""
    draw = torch.Generator().manual_seed(0)
    pixels = Digits().training().pixels.float() / Digits.levels
    images = nn.functional.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear")
    chosen = images[torch.randint(len(images), (n,), generator=draw)]
    shifts = torch.randint(-2, 3, (n, 2), generator=draw).tolist()
    moved = torch.stack([image.roll(shift, dims=(1, 2)) for image, shift in zip(chosen, shifts, strict=True)])
    return moved * (0.5 + 0.5 * torch.rand(n, 1, 1, 1, generator=draw))


def _ratio(outputs: Tensor, metric: Metric, distances: Callable[[Tensor, Tensor], Tensor]) -> MedoidRatio:
    loop_seconds, our_seconds = [], []
    for _ in range(ROUNDS):
        loop_seconds.append(seconds(lambda: loop(outputs, distances, LOOP_ROWS)) / LOOP_ROWS)
        our_seconds.append(seconds(lambda: best_center(outputs, metric, outputs[:0])) / len(outputs))
    few = outputs[:CHECKED]
    first = few[int(loop(few, distances, len(few)).argmin())]
    return MedoidRatio(
        metric=str(metric),
        loop_rows=1 / median(loop_seconds),
        our_rows=1 / median(our_seconds),
        ratio=median(loop / ours for loop, ours in zip(loop_seconds, our_seconds, strict=True)),
        same_center=torch.equal(first, best_center(few, metric, few[:0])[0]),
    )


def loop(outputs: Tensor, distances: Callable[[Tensor, Tensor], Tensor], rows: int) -> Tensor:
    """Median distances of the first `rows` outputs to all outputs: (rows,)."""
    medians = torch.empty(rows)
    for row, output in enumerate(outputs[:rows]):
        medians[row] = distances(output, outputs).median()
    return medians


def tv_distances(output: Tensor, outputs: Tensor) -> Tensor:
    """Total variation distances of an output, (C, H, W), from others, (n, C, H, W): (n,), by a plain loop."""
    difference = output - outputs
    vertical = difference[:, :, 1:, :] - difference[:, :, :-1, :]
    horizontal = difference[:, :, :, 1:] - difference[:, :, :, :-1]
    return vertical.abs().sum(dim=(1, 2, 3)) + horizontal.abs().sum(dim=(1, 2, 3))


def _l2_distances(output: Tensor, outputs: Tensor) -> Tensor:
    return torch.linalg.vector_norm((output - outputs).flatten(1), dim=1)


def _angles(output: Tensor, outputs: Tensor) -> Tensor:
    cosines = nn.functional.cosine_similarity(output.flatten()[None], outputs.flatten(1), dim=1)
    return torch.acos(cosines.clamp(-1, 1)) / torch.pi  # rounding can give a cosine above 1


LOOPS: list[tuple[Metric, Callable[[Tensor, Tensor], Tensor]]] = [
    (TotalVariation(), tv_distances),
    (L2(), _l2_distances),
    (Angular(), _angles),
]
