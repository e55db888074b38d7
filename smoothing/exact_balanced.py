"""Deterministic balanced center smoothing: both masses are counted, so no certificate can be false. Ours.

Let a finite noise have L equally probable noisy inputs, and let z_1, ..., z_L be f's outputs at them, for an x that the
noise accepts. Fix K in 1, ..., L and rho > 0. f_hat(x) is the center c that holds K outputs in the smallest ball; if
that ball's radius exceeds rho, f_hat abstains.

Theorem. Let k = affected(eps), and R the (L - K + 1 + k)-th smallest distance of z_1, ..., z_L from c = f_hat(x). Then
d(f_hat(x), f_hat(x')) <= gamma (R + rho) for every x' within eps of x at which f_hat does not abstain. All at once,
always.

Proof. At most k outputs at x' differ from those at x (`FiniteNoise.affected`). At least L - K + 1 outputs at x' lie in
B(c, R), as that many more than k at x do. At x', K outputs lie in B(c', rho). Together they are more than L, so some
output lies in both. QED

`exact_answering` says where f_hat surely does not abstain.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from smoothing.balanced import Values
from smoothing.balanced_guarantee import balanced_radius
from smoothing.calibration import calibrated, q_and_rho
from smoothing.center_results import CenterDraws, OutputCertificate
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_answering import steps_answered, surely_answers
from smoothing.exact_center import ExactCenterSmoothing, exact_statement
from smoothing.medoid import best_center, numbers_within
from smoothing.metrics import Metric
from smoothing.noise import FiniteNoise, Noise
from smoothing.rounding import DISTANCE_MARGIN, down
from smoothing.sampling import AllCopies, Procedure, whole


class ExactBalancedCenterSmoothing(ExactCenterSmoothing):
    """The smoothed function f_hat of a base function f under a finite noise; see the module.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), float; a frozen copy is certified (`FrozenFunction`).
        noise: a finite noise in the input space, such as `DeterministicSplitting`.
        metric: distance in the output space.
        q: share of the noisy inputs' outputs that the ball around a center must hold, K = ceil(q L). In (0, 1).
        rho: radius of that ball, > 0, in the metric's units.
        calibration: where q and rho come from if they are None; see `calibration.calibrated`.
        evaluation: see `Evaluation`; the seed is not used.

    Raises:
        SettingError: the noise is not finite, or a setting is missing or out of range.
    """

    columns = (*ExactCenterSmoothing.columns, "answers")
    younger = (*ExactCenterSmoothing.younger, "answers")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        *,
        q: float | None,
        rho: float | None,
        calibration: Mapping[str, Any] | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, metric, **evaluation)
        self.q, self.rho = q_and_rho(q, rho)

    @classmethod
    def settled(cls, arguments: dict[str, Any], eps: Any, noise: Noise) -> tuple[dict[str, Any], str]:
        return calibrated(arguments, noise)

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for eps, from draws made earlier."""
        self.origin.require(draws)
        return exact_balanced_certificate(draws, eps, self.noise, self.metric, self.q, self.rho)

    def answers_within(self, draws: CenterDraws) -> float:
        """The largest radius within which f_hat surely answers, a multiple of 1 / levels; -1 if there is none.

        Raises:
            SettingError: the draws do not say how many outputs lie within rho of each, or are of another origin.
        """
        self.origin.require(draws)
        if draws.held is None or draws.held_within != self.rho:
            raise SettingError(
                f"draws: expected those of ExactBalancedCenterSmoothing with rho={self.rho:g}; draw again"
            )
        steps = steps_answered(draws.held, self._rank())
        return self.noise.reach(steps) if steps >= 0 else -1.0

    def calibrating(self, x: Tensor, example: int, shares: Sequence[float], eps: Sequence[float]) -> Procedure[Values]:
        """What each q would need at x; see `BalancedCenterSmoothing.calibrating`."""
        (answers,) = yield [AllCopies(x, self.noise, whole)]
        outputs, count = torch.cat(answers), self.noise.steps
        needed = np.full((len(shares), 1 + len(eps)), inf)
        for row, held in enumerate(outputs_held(count, q) for q in shares):
            center, needed[row, 0] = best_center(outputs, self.metric, rank=held)
            distances = self.metric.pairwise(center[None], outputs)[0].cpu().sort().values.tolist()
            ranks = [count - held + 1 + self.noise.affected(radius) for radius in eps]
            needed[row, 1:] = [distances[k - 1] if k <= count else inf for k in ranks]
        return needed

    def _rank(self) -> int:
        return outputs_held(self.noise.steps, self.q)

    def _held(self, outputs: Tensor) -> dict[str, Any]:
        counts = numbers_within(outputs, outputs, self.metric, down(self.rho, DISTANCE_MARGIN))
        return {"held": counts.cpu().numpy(), "held_within": self.rho}


def outputs_held(count: int, q: float) -> int:
    """The number of outputs K = ceil(q L) that the ball around a center must hold, at least 1.

    Examples:
        >>> outputs_held(100, 0.84), outputs_held(27, 0.5)
        (84, 14)
    """
    return max(1, ceil(down(q * count)))


def exact_balanced_certificate(
    draws: CenterDraws, eps: float, noise: FiniteNoise, metric: Metric, q: float, rho: float
) -> OutputCertificate:
    """The certificate for input radius eps, from the distances of all outputs from the center; see the module.

    Args:
        draws: result of `ExactBalancedCenterSmoothing.draw`, or of `ExactCenterSmoothing.draw`: the proof holds for any
            center.
        eps: input radius, in the noise's threat norm, >= 0.
        noise: the noise of the draws.
        metric: the metric of the draws.
        q: share of the outputs that the ball must hold.
        rho: its radius.

    Returns:
        A certificate whose failure probability is 0; abstained if fewer than K outputs lie within rho of the center.

    Raises:
        SettingError: eps is negative or not a number.
    """
    if not 0 <= eps < inf:
        raise SettingError(f"eps: expected a finite number of at least 0, got {eps}")
    count = len(draws.distances)
    held, inside = outputs_held(count, q), int((draws.distances <= rho).sum())
    counted = draws.held if draws.held_within == rho else None
    too_few = f"the ball of radius rho = {rho:g} holds {inside} of {count} outputs, fewer than {held}"
    return exact_statement(
        draws,
        eps,
        noise,
        metric,
        needed=count - held + 1,
        radius=lambda r_hat: balanced_radius(draws, r_hat, metric, rho),
        abstained=too_few if inside < held else "",
        answers=None if counted is None else surely_answers(counted, held, noise.affected(eps)),
    )
