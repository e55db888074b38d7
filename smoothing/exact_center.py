"""Deterministic center smoothing under a finite noise: certified output radii without sampling, without error. Ours.

Let a finite noise have L equally probable noisy inputs, and let z_1, ..., z_L be f's outputs at them, for an x that the
noise accepts. f_hat(x) is the center c: the point, of the outputs and a few candidates, whose ceil(L/2)-th smallest
distance to z_1, ..., z_L is smallest.

Theorem. Let k = affected(eps), and R the (floor(L/2) + 1 + k)-th smallest distance of z_1, ..., z_L from c. Then
d(f_hat(x), f_hat(x')) <= gamma (1 + beta) R for every x' within eps of x that the noise accepts. All at once, always.

Proof. At most k of the noisy inputs at x' differ from those with the same numbers at x (`FiniteNoise.affected`), so at
most k outputs at x' differ from those at x. This takes the place of the shift of a probability.
 (1) At least floor(L/2) + 1 outputs at x' lie in the ball B(c, R), as that many more than k at x do.
 (2) Let z be one of them. All others in the ball are within gamma (R + R) of z, so z's ceil(L/2)-th smallest distance
     at x' is at most beta R with beta = 2 gamma, and that of the center c' at x' is no larger. (Where candidates are
     better than outputs, beta is smaller: `Metric.beta`.) The outputs are known and not estimated, so there is neither
     a Delta nor an abstention.
 (3) So at least ceil(L/2) outputs at x' lie within beta R of c', and floor(L/2) + 1 within R of c: more than L
     together, so some output lies in both, and d(c, c') <= gamma (R + beta R).

It says something while floor(L/2) + 1 + k <= L, that is for k <= ceil(L/2) - 1. Under splitting noise this is an l1
radius of about lambda.
"""

from collections.abc import Callable
from math import inf
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from smoothing.center_certifier import CenterCertifier
from smoothing.center_guarantee import output_radius
from smoothing.center_results import CenterDraws, OutputCertificate, statement
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_guarantee import require_all, require_finite
from smoothing.medoid import best_center
from smoothing.metrics import Metric
from smoothing.noise import FiniteNoise, Noise
from smoothing.sampling import AllCopies, Procedure, whole


class ExactCenterSmoothing(CenterCertifier):
    """The smoothed function f_hat of a base function f under a finite noise; see the module.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), float; a frozen copy is certified (`FrozenFunction`).
        noise: a finite noise in the input space, such as `DeterministicSplitting`.
        metric: distance in the output space.
        evaluation: see `Evaluation`; the seed is not used.

    Raises:
        SettingError: the noise is not finite.
    """

    noise: FiniteNoise

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, require_finite(noise), metric, **evaluation)

    @property
    def samples(self) -> int:
        return self.noise.steps

    def _rank(self) -> int:
        """The number of outputs that the center's ball holds."""
        return (self.noise.steps + 1) // 2

    def drawing(self, x: Tensor, example: int) -> Procedure[CenterDraws]:
        """`draw`, as a procedure for `Engine.run_all`."""
        (answers,) = yield [AllCopies(x, self.noise, whole)]
        outputs = torch.cat(answers)
        center, radius = best_center(outputs, self.metric, rank=self._rank())
        distances = self.metric.pairwise(center[None], outputs)[0].cpu()  # rounded as the radius was
        base_output = self.f(x[None])
        return CenterDraws(
            base_output=base_output[0].cpu(),
            center=center.cpu(),
            center_radius=radius,
            n=len(outputs),
            inside=int((distances <= radius).sum()),
            distances=np.sort(distances.numpy()),
            smoothing_error=float(self.metric(base_output, center[None])),
            **self._held(outputs),
            origin=self.origin,
        )

    def _held(self, outputs: Tensor) -> dict[str, Any]:
        """`CenterDraws.held` and `held_within`, if the certificate needs them."""
        return {}

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for eps, from draws made earlier."""
        self.origin.require(draws)
        return exact_center_certificate(draws, eps, self.noise, self.metric)


def exact_center_certificate(draws: CenterDraws, eps: float, noise: FiniteNoise, metric: Metric) -> OutputCertificate:
    """The certificate for input radius eps, from the distances of all outputs from the center; see the module.

    Args:
        draws: what `ExactCenterSmoothing.draw` found.
        eps: input radius, in the noise's threat norm, >= 0.
        noise: the noise of the draws.
        metric: the metric of the draws.

    Returns:
        A certificate whose failure probability is 0; failed where eps is too large, or an output that is needed is not
        finite.

    Raises:
        SettingError: eps is negative or not a number.
    """
    if not 0 <= eps < inf:
        raise SettingError(f"eps: expected a finite number of at least 0, got {eps}")
    count = len(draws.distances)
    beta = metric.beta(draws.base_output)
    return exact_statement(
        draws,
        eps,
        noise,
        metric,
        needed=count // 2 + 1,
        radius=lambda r_hat: output_radius(draws, r_hat, metric, beta),
    )


def exact_statement(
    draws: CenterDraws,
    eps: float,
    noise: FiniteNoise,
    metric: Metric,
    *,
    needed: int,
    radius: Callable[[float], float],
    abstained: str = "",
    answers: bool | None = None,
) -> OutputCertificate:
    """The certificate from a ball around the center that must hold `needed` outputs at x'.

    It holds `needed` + k at x, because at most k = affected(eps) outputs change.

    Args:
        draws: see `exact_center_certificate`.
        eps: input radius.
        noise: the noise of the draws.
        metric: the metric of the draws.
        needed: number of outputs in the ball at x'.
        radius: the output radius for the ball's radius R_hat.
        abstained: why f_hat abstains at x; empty if it does not.
        answers: see `OutputCertificate`.
    """
    count = len(draws.distances)
    require_all(count, noise)
    rank = needed + noise.affected(eps)
    reason, r_hat = abstained, inf
    if not reason and rank > count:
        largest = noise.reach(count - needed)
        reason = f"{rank} of {count} outputs would be needed; the largest eps under this noise is {largest:g}"
    elif not reason and not (r_hat := float(draws.distances[rank - 1])) < inf:
        reason = f"the {rank}-th of {count} outputs from the center is not finite"
    return statement(
        draws,
        eps,
        metric,
        eps_out=radius(r_hat),
        r_hat=r_hat,
        rank=rank,
        status="abstained" if abstained else "failed" if reason else "certified",
        reason=reason,
        failure_probability=0.0,
        answers=answers,
    )
