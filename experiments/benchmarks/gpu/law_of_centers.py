"""Center smoothing on the device and on the CPU: distances from the same center have the same law.

Each certifier draws on the device. Then the CPU draws as many outputs with samples of its own and measures them from
the same center: the count inside the ball is compared by a chi-square test, the distances by Kolmogorov and Smirnov's.
The certifier also draws on the CPU, and must accept a center on both or on neither.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.benchmarks.gpu import FAILED, cases
from experiments.benchmarks.gpu.same_law import compared, p_of_counts, p_of_numbers
from smoothing import (
    BalancedCenterSmoothing,
    CenterDraws,
    CenterSmoothing,
    CenterSmoothingHD,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    FiniteNoise,
    Metric,
    Noise,
)
from smoothing.base_function import FrozenFunction
from smoothing.cursor import noisy_inputs
from smoothing.streams import Stage, Stream

SHAPE, BATCH = (1, 8, 8), 500
MINE, THEIRS = 0, 1  # seeds: on one device, too, the two sides have different samples
Q, WIDE = 0.8, 1.5  # balanced: share in the ball, and its radius as a multiple of the CPU's 95 % quantile of distances
LEAST = 0.05  # its least radius: where most outputs are equal
SHARE, CLOSE = 0.01, 1e-4  # exactly: share of distances that may differ by more than this, by rounding of f


@dataclass(frozen=True)
class Case:
    """A base function with its metric and noise."""

    metric: Metric
    network: nn.Module
    noise: Noise
    samples: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.metric} under {self.noise}"


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Compare every certifier under every metric and noise. Tiny: under two noises, one of them finite."""
    n, m, delta = (200, 200, 0.3) if tiny else (300, 5000, 0.25)
    samples = {"n": n, "m": m, "delta": delta, "batch_size": BATCH}
    noises = cases.noises(SHAPE)
    p_values: dict[str, float] = {}
    for metric, network in cases.spaces():
        for noise in noises[-2:] if tiny else noises:
            case = Case(metric, network, noise, samples)
            yield from _sampled(case, device, p_values)
            if isinstance(noise, FiniteNoise):
                yield from _exact(case, noise, device)
    yield from compared(p_values)
    yield "left out: LPIPS, which needs a network's weights"


def _sampled(case: Case, device: torch.device, p_values: dict[str, float]) -> Iterator[str]:
    cpu = torch.device("cpu")
    rho = _rho(_draw(CenterSmoothing, case, cpu, THEIRS, **case.samples).distances)
    balanced = {key: value for key, value in case.samples.items() if key != "delta"} | {"q": Q, "rho": rho}
    for kind, settings in (
        (CenterSmoothing, case.samples),
        (CenterSmoothingHD, case.samples),
        (BalancedCenterSmoothing, balanced),
    ):
        name = f"{kind.__name__}, {case}"
        drawn = _draw(kind, case, device, MINE, **settings)
        theirs = _draw(kind, case, cpu, THEIRS, **settings)
        accepted = [len(draws.distances) > 0 for draws in (drawn, theirs)]
        if accepted[0] != accepted[1]:
            yield f"{FAILED}{name}: accepted {accepted[0]}, and {accepted[1]} on the CPU"
        fresh = _distances(case, drawn.center, drawn.n, Stage.FRESH_CHECK)
        reach = drawn.center_radius * (1 + 1e-6) + 1e-9  # so that rounding moves no equal distance out
        inside = [drawn.inside, int((fresh <= reach).sum())]
        p_values[f"inside, {name}"] = p_of_counts(*([count, drawn.n - count] for count in inside))
        if accepted[0]:
            expected = _distances(case, drawn.center, len(drawn.distances), Stage.CERTIFICATION)
            p_values[f"distances, {name}"] = p_of_numbers(drawn.distances, expected)


def _draw(kind: Callable[..., Any], case: Case, device: torch.device, seed: int, **settings: Any) -> CenterDraws:
    f_hat = kind(case.network.to(device), case.noise, case.metric, seed=seed, **settings)
    drawn: CenterDraws = f_hat.draw(cases.image(SHAPE, device), 0)
    return drawn


def _rho(distances: np.ndarray) -> float:
    return max(LEAST, WIDE * float(np.quantile(distances, 0.95))) if len(distances) else LEAST


def _distances(case: Case, center: Tensor, count: int, stage: Stage) -> np.ndarray:
    """Distances of `count` outputs from a center, (*output shape), on the CPU with its own samples: (count,)."""
    f, x = FrozenFunction(case.network.to("cpu")), cases.image(SHAPE, torch.device("cpu"))
    batches = noisy_inputs(x, case.noise, count, Stream(THEIRS, 0, stage), BATCH)
    return torch.cat([case.metric.pairwise(center[None], f(batch))[0] for batch in batches]).numpy()


def _exact(case: Case, noise: FiniteNoise, device: torch.device) -> Iterator[str]:
    """All noisy inputs are the same on both devices, so their distances from the same center differ by rounding."""
    f, x = FrozenFunction(case.network.to("cpu")), cases.image(SHAPE, torch.device("cpu"))
    outputs = f(noise.copies(x, 0, noise.steps))
    rho = _rho(_draw(ExactCenterSmoothing, case, torch.device("cpu"), 0).distances)
    for kind, settings in ((ExactCenterSmoothing, {}), (ExactBalancedCenterSmoothing, {"q": Q, "rho": rho})):
        drawn = _draw(kind, case, device, 0, **settings)
        expected = np.sort(case.metric.pairwise(drawn.center[None], outputs)[0].numpy())
        differ = (np.abs(drawn.distances - expected) > CLOSE * (1 + expected)).mean()
        if not differ <= SHARE:
            yield f"{FAILED}{kind.__name__}, {case}: {differ:.0%} of the distances differ from the CPU's"
