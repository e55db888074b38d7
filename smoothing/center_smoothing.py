"""Center smoothing: sampling the center of a base function's outputs, and their distances from it.

Kumar and Goldstein (2021), algorithms 1 (Smooth) and 2 (Certify); what is concluded from the draws is in
`center_guarantee`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from torch import Tensor

from smoothing import center_guarantee
from smoothing.base_function import FrozenFunction, Precision
from smoothing.center_guarantee import CenterDraws, CenterSettings, OutputCertificate
from smoothing.engine import Engine
from smoothing.errors import SettingError
from smoothing.medoid import best_center
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.sampling import Procedure, Samples, whole
from smoothing.streams import Stage, Stream


@dataclass(frozen=True, eq=False)
class SmoothedOutput:
    """f_hat(x), or the reason why the smoothed function abstains at x (then `center` is not to be used)."""

    center: Tensor
    center_radius: float
    inside: int
    n: int
    reason: str

    @property
    def abstained(self) -> bool:
        return self.reason != ""


class CenterSmoothing:
    """The smoothed function f_hat of a base function f with outputs in a metric space.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), float; a frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        metric: distance in the output space.
        n: samples that choose the center, and again as many fresh ones that check it.
        m: fresh samples for the certificate.
        delta, alpha1, alpha2, bound: see `CenterSettings`.
        match: None here. In a run "paper" reads n and m as those of bound=paper, and takes the least that prove as much
            for all of its eps (`matching.matched_samples`).
        seed: every sample is a function of (seed, example, stage, sample number).
        batch_size: samples shown to f at once, None for the fastest; changes no sample.
        precision: see `FrozenFunction`, as for compiled.
        on_samples: called with the number of samples just evaluated.

    Raises:
        SettingError: a setting out of range, or n too small ever to accept a center.
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        *,
        n: int,
        m: int,
        delta: float = 0.05,
        alpha1: float = 0.005,
        alpha2: float = 0.005,
        bound: str = "exact",
        match: str | None = None,
        seed: int = 0,
        batch_size: int | None = 128,
        precision: Precision = "float32",
        compiled: bool = False,
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> None:
        if match is not None:
            raise SettingError(
                f"certifier.match: expected paper, with which a run finds n and m (`matched_samples`), got {match}"
            )
        for name, value in (("certifier.n", n), ("certifier.m", m)):
            if value < 1:
                raise SettingError(f"{name}: expected at least 1, got {value}")
        if seed < 0:
            raise SettingError(f"seed: expected at least 0, got {seed}")
        self.f = FrozenFunction(f, precision, compiled)
        self.engine = Engine(self.f, batch_size, on_samples)
        self.noise, self.metric = noise, metric
        self.n, self.m = n, m
        self.settings = CenterSettings(bound, delta, alpha1, alpha2)
        self.seed = seed
        self.require_feasible([])

    @property
    def samples(self) -> int:
        """The most samples that an example takes."""
        return 2 * self.n + self.m

    def require_feasible(self, eps: Sequence[float]) -> None:
        """Raise SettingError where n or m samples can never certify some eps, naming how many would."""
        center_guarantee.require_feasible(self.n, self.m, list(eps), self.noise, self.settings)

    def smooth(self, x: Tensor, example: int = 0) -> SmoothedOutput:
        """f_hat(x) (algorithm 1).

        Args:
            x: one input, (*input shape), on the device to compute on.
            example: which stream of samples to use; take another for another x.

        Raises:
            BaseFunctionError: see `FrozenFunction`.
            SettingError: x is not floating-point.
        """
        return self.engine.run(self.smoothing(x, example))

    def smoothing(self, x: Tensor, example: int) -> Procedure[SmoothedOutput]:
        """`smooth`, as a procedure for `Engine.run_all`."""
        # 1. The center: the point with the smallest median distance to n outputs.
        center, radius = yield from self._center(x, example)

        # 2. On n fresh outputs: how many lie in its ball? Pairwise, as for the radius, so that the same distance is
        # rounded alike: a discrete f has many outputs that lie on the sphere.
        def inside(outputs: Tensor) -> Tensor:
            return (self.metric.pairwise(center[None], outputs) <= radius).sum()

        (counts,) = yield [self._samples(x, self.n, example, Stage.FRESH_CHECK, inside)]
        count = int(torch.stack(counts).sum())
        # 3. Few enough, and it is not accepted.
        reason = center_guarantee.why_abstain(radius, count, self.n, self.settings)
        return SmoothedOutput(center, radius, count, self.n, reason)

    def draw(self, x: Tensor, example: int = 0) -> CenterDraws:
        """Draw all that certificates at x are read from (algorithm 2, up to the distances). Arguments: `smooth`."""
        return self.engine.run(self.drawing(x, example))

    def drawing(self, x: Tensor, example: int) -> Procedure[CenterDraws]:
        """`draw`, as a procedure for `Engine.run_all`."""
        smoothed = yield from self.smoothing(x, example)
        center = smoothed.center[None]
        distances = torch.empty(0, dtype=torch.float64)
        if not smoothed.abstained:
            request = self._samples(
                x, self.m, example, Stage.CERTIFICATION, lambda outputs: self.metric(outputs, center)
            )
            (found,) = yield [request]
            distances = torch.cat(found).cpu()
        base_output = self.f(x[None])
        return CenterDraws(
            base_output=base_output[0].cpu(),
            center=smoothed.center.cpu(),
            center_radius=smoothed.center_radius,
            n=self.n,
            inside=smoothed.inside,
            distances=np.sort(distances.numpy()),
            smoothing_error=float(self.metric(base_output, center)),
        )

    @overload
    def certify(self, x: Tensor, eps: float, example: int = 0) -> OutputCertificate: ...
    @overload
    def certify(self, x: Tensor, eps: Sequence[float], example: int = 0) -> list[OutputCertificate]: ...
    def certify(
        self, x: Tensor, eps: float | Sequence[float], example: int = 0
    ) -> OutputCertificate | list[OutputCertificate]:
        """Certified output radius at x for one input radius or, from the same draws, for several (algorithm 2).

        Args:
            x: one input, (*input shape).
            eps: input radius or radii in the noise's threat norm, in the units of x.
            example: which stream of samples to use; take another for another x.
        """
        draws = self.draw(x, example)
        if isinstance(eps, Sequence):
            return [self.read(draws, radius) for radius in eps]
        return self.read(draws, eps)

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for eps, from draws made earlier."""
        beta = self.metric.beta(draws.base_output)
        return center_guarantee.certificate(draws, eps, self.noise, self.metric, self.settings, beta)

    def _center(self, x: Tensor, example: int) -> Procedure[tuple[Tensor, float]]:
        """A center and its median distance to n outputs: the best of those outputs and a few other points."""
        (outputs,) = yield [self._samples(x, self.n, example, Stage.CENTER, whole)]
        return best_center(torch.cat(outputs), self.metric)

    def _samples(
        self, x: Tensor, count: int, example: int, stage: Stage, reduce: Callable[[Tensor], Tensor]
    ) -> Samples:
        return Samples(x, self.noise, reduce, Stream(self.seed, example, stage), count)
