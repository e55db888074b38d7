"""Smooth-HD: center smoothing for outputs too large to keep (Kumar and Goldstein 2021, appendix E, algorithm 3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil, log
from typing import Any, Unpack

import torch
from torch import Tensor

from smoothing import center_guarantee
from smoothing.arguments import whole_number
from smoothing.center_bounds import BOUNDS
from smoothing.center_results import CenterDraws, OutputCertificate
from smoothing.center_smoothing import CenterSmoothing
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.medoid import lower_median
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.sampling import Procedure, whole
from smoothing.streams import Stage


class CenterSmoothingHD(CenterSmoothing):
    """`CenterSmoothing` with a center that is one of a few candidates. At most one batch of outputs is in memory.

    The candidates are separate outputs, and points that the metric computes from them. The n samples that choose among
    them are evaluated in batches, and only their distances from the candidates are kept.

    The cost. Let B be the ball B(f_hat(x), R_hat), which holds mass 1/2 + delta at x', at least 1/2 + Delta_1
    with the Delta_1 of the bound. A candidate in B is within gamma (R_hat + R_hat) of all of B. So if half of the n
    samples at x' lie in B too, its median distance is at most 2 gamma R_hat. The winner's is no larger: beta = 2 gamma,
    as for the medoid. Fewer than half of the samples lie in B with probability at most alpha1 / 2, as
    ever, and the check on n fresh samples takes the other alpha1 / 2. That none of the independent candidates lies in B
    has probability at most (1/2 - Delta_1)^candidates, which is added to the failure probability (the paper leaves it
    out). It concerns x' alone: at x, R_hat is right with probability 1 - alpha2 whatever the center is.

    Args:
        f, noise, metric, n, m, delta, alpha1, alpha2, bound, center: see `CenterSmoothing`.
        evaluation: see `Evaluation`; batch_size is also the number of outputs held at once.
        candidates: number of outputs among which the center is chosen.

    Raises:
        SettingError: as `CenterSmoothing`; or all candidates may miss with a probability above alpha1. That would be
            the larger part of the failure probability at x'.
    """

    rereadable = CenterSmoothing.rereadable

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        *,
        n: int,
        m: int,
        candidates: int = 30,
        delta: float = 0.05,
        alpha1: float = 0.005,
        alpha2: float = 0.005,
        bound: str = "exact",
        center: str = "best",
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        self.candidates = whole_number("certifier.candidates", candidates, 1)
        super().__init__(
            f,
            noise,
            metric,
            n=n,
            m=m,
            delta=delta,
            alpha1=alpha1,
            alpha2=alpha2,
            bound=bound,
            center=center,
            **evaluation,
        )

    @property
    def samples(self) -> int:
        return self.candidates + super().samples

    def all_miss(self, n: int) -> float:
        """Probability that no candidate lies in the smallest ball of mass 1/2 + Delta_1, with the Delta_1 of n."""
        return (0.5 - self._delta1(n)) ** self.candidates

    def require_feasible(self, eps: Sequence[float]) -> None:
        super().require_feasible(eps)
        alpha1 = self.settings.alpha1
        if self.all_miss(self.n) > alpha1:
            least = ceil(log(alpha1) / log(0.5 - self._delta1(self.n)))
            raise SettingError(
                f"certifier.candidates: {self.candidates} may all miss with probability {self.all_miss(self.n):.2g}, "
                f"more than alpha1 = {alpha1:g}; at least {least} are needed"
            )

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        self.origin.require(draws)
        c = center_guarantee.certificate(draws, eps, self.noise, self.metric, self.settings)  # beta = 2 gamma
        if c.status != "certified":
            return c
        return replace(c, failure_probability=c.failure_probability + self.all_miss(draws.n))

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return int(settings["candidates"] + 2 * row["n"] + row["m"])

    def _center(self, x: Tensor, example: int) -> Procedure[tuple[Tensor, float, None]]:
        """The candidate with the smallest median distance to n outputs, and that distance."""
        (outputs,) = yield [self._samples(x, self.candidates, example, Stage.SELECTION, whole)]
        drawn = torch.cat(outputs)
        candidates = torch.cat([drawn, self._candidates(drawn)])

        def distances(batch: Tensor) -> Tensor:
            return self.metric.pairwise(candidates, batch)

        (found,) = yield [self._samples(x, self.n, example, Stage.CENTER, distances)]
        medians = lower_median(torch.cat(found, dim=1))
        best = int(medians.argmin())
        return candidates[best], float(medians[best]), None

    def _delta1(self, n: int) -> float:
        return BOUNDS[self.settings.bound].median_margin(n, self.settings.alpha1 / 2)
