"""Balanced center smoothing: the sampling side. `balanced_guarantee` has the theorem and its proof. Ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothing import balanced_guarantee
from smoothing.arguments import input_radii, number, whole_number
from smoothing.balanced_guarantee import BalancedSettings, answering, balanced_certificate, needed_inside
from smoothing.calibration import calibrated, q_and_rho
from smoothing.center_bounds import BOUNDS
from smoothing.center_reach import answers_within, reach
from smoothing.center_results import CenterDraws, OutputCertificate
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.matching import balanced_distances
from smoothing.medoid import best_center
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.rounding import DISTANCE_MARGIN, down
from smoothing.sampled_center import SampledCenter, checked_center
from smoothing.sampling import Procedure, whole
from smoothing.streams import Stage

Values = NDArray[np.float64]
Counts = NDArray[np.int64]


class BalancedCenterSmoothing(SampledCenter):
    """The smoothed function f_hat of a base function f: it answers only where a ball of radius rho holds mass q.

    The center is the output, or other candidate, that holds the accepted number of the n outputs in the smallest ball.
    No other candidate is accepted by these n outputs if it is not. With alpha3, that number is larger: see `answering`.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), float; a frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        metric: distance in the output space.
        n: samples that choose the center. As many fresh samples check it.
        m: fresh samples for the certificate.
        q, rho, alpha1, alpha2, bound: see `BalancedSettings`. q and rho must not depend on the certified examples.
        alpha3: also say whether f_hat surely answers, and does not abstain, at each x' within eps, except with this
            probability. It needs `candidates`, about 1000, and center="medoid". None: say nothing.
        center: "medoid": one of the outputs. "best": or one of `Metric.candidates`.
        candidates: None: all n outputs are candidates, and in memory. A number: choose among that many outputs, and
            keep only the distances of the n samples from them, for outputs too large to keep (Smooth-HD). Then a center
            may be worse, so f_hat abstains more often, but the guarantee is the same.
        match: None here. In a run, "paper" takes m as the paper's, and finds the fewest distances that read R_hat at no
            higher quantile for any eps (`matching.balanced_distances`).
        calibration: where q and rho come from if they are None, in a run; see `calibration.calibrated`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is missing or out of range; or n is too small to accept any center, or n or candidates
            to show that f_hat answers.

    Example:
        >>> from smoothing import L2, BalancedCenterSmoothing, Gaussian
        >>> f_hat = BalancedCenterSmoothing(lambda x: 3 * x, Gaussian(0.1), L2(), n=1000, m=1000, q=0.84, rho=0.6)
        >>> certificate = f_hat.certify(torch.tensor([1.0]), eps=0.1)
        >>> certificate.status, certificate.eps_out < 0.9  # at least 3 eps = 0.3
        ('certified', True)
    """

    columns = (*SampledCenter.columns, "answers")
    younger = (*SampledCenter.younger, "answers")
    rereadable = ("alpha2",)

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        *,
        n: int,
        m: int,
        q: float | None,
        rho: float | None,
        alpha1: float = 0.005,
        alpha2: float = 0.005,
        bound: str = "exact",
        center: str = "best",
        candidates: int | None = None,
        alpha3: float | None = None,
        match: str | None = None,
        calibration: Mapping[str, Any] | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        if match is not None:
            raise SettingError(
                f"certifier.match: expected paper, in a run of certify.py, which then finds m, got {match}"
            )
        super().__init__(f, noise, metric, **evaluation)
        self.n, self.m = whole_number("certifier.n", n, 1), whole_number("certifier.m", m, 1)
        share, radius = q_and_rho(q, rho)
        levels = {"alpha1": alpha1, "alpha2": alpha2, "alpha3": alpha3}
        given = {name: number(f"certifier.{name}", level) for name, level in levels.items() if level is not None}
        self.settings = BalancedSettings(share, radius, bound=bound, **given)
        self.center = checked_center(center)
        self.candidates = None if candidates is None else whole_number("certifier.candidates", candidates, 1)
        self.require_feasible([])

    @property
    def samples(self) -> int:
        return (self.candidates or 0) + super().samples

    def require_feasible(self, eps: Sequence[float]) -> None:
        balanced_guarantee.require_feasible(self.n, self.m, list(eps), self.noise, self.settings)
        balanced_guarantee.require_answering(self.n, self.candidates, self.center, eps, self.noise, self.settings)

    def why_abstain(self, radius: float, inside: int) -> str:
        return balanced_guarantee.why_abstain(inside, self.n, self.settings)

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for eps, from earlier draws.

        It is also the answer for an x' in hand: for every x within eps of x' at which f_hat does not abstain,
        d(f_hat(x), f_hat(x')) <= eps_out, from draws at x'.
        """
        self.origin.require(draws)
        return balanced_certificate(draws, eps, self.noise, self.metric, self.settings)

    def reach(self, draws: CenterDraws, eps_out: float) -> float:
        """The largest input radius certified within eps_out, from earlier draws; see `center_reach.reach`."""
        self.origin.require(draws)
        return reach(draws, eps_out, self.noise, self.metric, self.settings)

    def answers_within(self, draws: CenterDraws) -> float:
        """The largest input radius within which f_hat surely answers, from earlier draws; see `center_reach`."""
        self.origin.require(draws)
        return answers_within(draws, self.noise, self.settings)

    @classmethod
    def settled(cls, arguments: dict[str, Any], eps: Any, noise: Noise) -> tuple[dict[str, Any], str]:
        """Take q and rho from the calibration. With match=paper, find m (`balanced_distances`)."""
        found, told = calibrated(arguments, noise)
        if found.get("match") != "paper":
            return found, told
        settings = BalancedSettings(*q_and_rho(found["q"], found["rho"]), alpha2=found["alpha2"])
        m = balanced_distances(found["m"], input_radii(eps), noise, settings)
        matched = f"certifier.match=paper: m={m} distances bound no higher a quantile than the paper's {found['m']}"
        return found | {"m": m, "match": None}, "\n".join(filter(None, (told, matched)))

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return int((settings.get("candidates") or 0) + 2 * row["n"] + row["m"])

    def calibrating(self, x: Tensor, example: int, shares: Sequence[float], eps: Sequence[float]) -> Procedure[Values]:
        """What each q would need at x, from n outputs, n fresh ones and m for R_hat, whatever self's q is.

        To save time, all q share one center, that of the middle one. With its own, each would need a little less.

        Returns:
            One row for each q of `shares`: the least rho with which the center is accepted, then R_hat for each eps;
            (shares, 1 + eps), float64, +inf where n or m samples cannot do it.
        """
        settings = [replace(self.settings, q=q) for q in shares]
        ranks = [needed_inside(self.n, each) for each in settings]
        (answers,) = yield [self._samples(x, self.n, example, Stage.CENTER, whole)]
        outputs = torch.cat(answers)
        center, _ = best_center(outputs, self.metric, self._candidates(outputs), min(ranks[len(ranks) // 2], self.n))

        def distances(batch: Tensor) -> Tensor:
            return self.metric.pairwise(center[None], batch)[0]

        (fresh,) = yield [self._samples(x, self.n, example, Stage.FRESH_CHECK, distances)]
        (found,) = yield [self._samples(x, self.m, example, Stage.CERTIFICATION, distances)]
        checks, others = (np.sort(torch.cat(each).cpu().numpy()) for each in (fresh, found))
        needed = np.full((len(shares), 1 + len(eps)), inf)
        for row, each in enumerate(settings):
            masses = [self.noise.mass(each.rest, radius) for radius in eps]
            order = [BOUNDS[each.bound].order_statistic(p, self.m, each.alpha2) for p in masses]
            if ranks[row] <= self.n:
                needed[row, 0] = checks[ranks[row] - 1]
            needed[row, 1:] = [others[k - 1] if k else inf for k in order]
        return needed

    def _center(self, x: Tensor, example: int) -> Procedure[tuple[Tensor, float, Counts | None]]:
        """The center whose ball with the accepted number of n outputs is smallest. The ball that is checked has rho."""
        rank, held = min(self.n, needed_inside(self.n, self.settings)), None
        if self.candidates is None:
            (answers,) = yield [self._samples(x, self.n, example, Stage.CENTER, whole)]
            outputs = torch.cat(answers)
            center, _ = best_center(outputs, self.metric, self._candidates(outputs), rank)
        else:
            (drawn,) = yield [self._samples(x, self.candidates, example, Stage.SELECTION, whole)]
            outputs = torch.cat(drawn)
            points = torch.cat([outputs, self._candidates(outputs)])

            def distances(batch: Tensor) -> Tensor:
                return self.metric.pairwise(points, batch)

            (found,) = yield [self._samples(x, self.n, example, Stage.CENTER, distances)]
            apart = torch.cat(found, dim=1)
            if self.settings.alpha3 is not None:
                rank = answering(self.n, self.candidates, self.settings).rank
                inside = apart <= down(self.settings.rho, DISTANCE_MARGIN)
                held = inside.sum(dim=1).sort().values.cpu().numpy()
            center = points[int(apart.kthvalue(rank, dim=1).values.argmin())]
        return center, self.settings.rho, held
