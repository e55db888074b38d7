"""The part that sampled certifiers of center smoothing share: Smooth, and the draws of Certify.

Algorithms 1 and 2 of Kumar and Goldstein, "Center Smoothing: Certified Robustness for Networks with Structured Outputs"
(2021). Each certifier says how it chooses a center, when it accepts it, and what the draws prove.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothing.as_dict import AsDict
from smoothing.center_certifier import CenterCertifier
from smoothing.center_results import CenterDraws
from smoothing.errors import SettingError
from smoothing.sampling import Procedure, Samples
from smoothing.streams import Stage, Stream


@dataclass(frozen=True, eq=False)
class SmoothedOutput(AsDict):
    """f_hat(x), or the reason why the smoothed function abstains at x. If it abstains, do not use `center`.

    Attributes:
        center: (*output shape), on the device of f.
        center_radius: radius of the ball that was checked, in the metric's units; see `CenterDraws`.
        inside: number of the n fresh outputs in that ball.
        n: number of fresh samples.
        reason: why f_hat abstains; empty if it answers.
        held: see `CenterDraws`.
    """

    center: Tensor
    center_radius: float
    inside: int
    n: int
    reason: str
    held: NDArray[np.int64] | None = None

    @property
    def abstained(self) -> bool:
        return self.reason != ""


class SampledCenter(CenterCertifier):
    """A smoothed function with outputs in a metric space, estimated from samples.

    Attributes:
        n: samples that choose the center. As many fresh samples check it.
        m: fresh samples for the certificate.
        center: kind of center, see `checked_center`.
    """

    n: int
    m: int
    center: str

    @abstractmethod
    def why_abstain(self, radius: float, inside: int) -> str:
        """Why the center is not accepted, if `inside` of n fresh outputs lie in its ball; empty if it is."""

    @abstractmethod
    def require_feasible(self, eps: Sequence[float]) -> None:
        """Raise SettingError if n or m samples can never certify some eps. The message says how many are enough."""

    def cases(self, eps: Any) -> list[float]:
        radii = super().cases(eps)
        self.require_feasible(radii)
        return radii

    def suffices(self, drawn: CenterDraws) -> bool:
        return len(drawn.distances) > 0 or bool(self.why_abstain(drawn.center_radius, drawn.inside))

    @abstractmethod
    def _center(self, x: Tensor, example: int) -> Procedure[tuple[Tensor, float, NDArray[np.int64] | None]]:
        """Choose the center: (*output shape), the radius of the ball that is checked, and `CenterDraws.held`."""

    @property
    def samples(self) -> int:
        """The number of samples for one example, at most."""
        return 2 * self.n + self.m

    def smooth(self, x: Any, example: int | None = None) -> SmoothedOutput:
        """f_hat(x) (algorithm 1).

        Args:
            x: one input, (*input shape); moved to f's device.
            example: number of the streams of samples, to reproduce a result; fresh ones by default.

        Raises:
            BaseFunctionError: see `FrozenFunction`.
            SettingError: x is not an input, see `inputs.as_tensor`.
        """
        return self.engine.run(self.smoothing(self.input(x), self.number_of(example)))

    def smoothing(self, x: Tensor, example: int) -> Procedure[SmoothedOutput]:
        """`smooth`, as a procedure for `Engine.run_all`; x is a floating-point tensor on f's device."""
        # 1. The center of n outputs, and the radius of its ball.
        center, radius, held = yield from self._center(x, example)

        # 2. Count how many of n fresh outputs lie in its ball. Distances are computed pairwise, as for the radius, so
        # equal distances are rounded equally: a discrete f has many outputs on the sphere.
        def inside(outputs: Tensor) -> Tensor:
            return (self.metric.pairwise(center[None], outputs) <= radius).sum()

        (counts,) = yield [self._samples(x, self.n, example, Stage.FRESH_CHECK, inside)]
        count = int(torch.stack(counts).sum())
        # 3. The center is rejected if too few outputs lie in its ball.
        reason = self.why_abstain(radius, count)
        return SmoothedOutput(center, radius, count, self.n, reason, held)

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
            held=smoothed.held,
            held_within=None if smoothed.held is None else smoothed.center_radius,
            origin=self.origin,
        )

    def _candidates(self, outputs: Tensor) -> Tensor:
        """Centers to consider in addition to the outputs."""
        return self.metric.candidates(outputs) if self.center == "best" else outputs[:0]

    def _samples(
        self, x: Tensor, count: int, example: int, stage: Stage, reduce: Callable[[Tensor], Tensor]
    ) -> Samples:
        return Samples(x, self.noise, reduce, Stream(self.seed, example, stage), count)


def checked_center(center: str) -> str:
    """The kind of center. Raises SettingError if it is unknown."""
    if center not in ("medoid", "best"):
        raise SettingError(f"certifier.center: expected medoid or best, got {center}")
    return center
