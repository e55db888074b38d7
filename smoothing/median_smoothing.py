"""Median smoothing (Chiang et al. 2020): certified intervals for real-valued outputs, from samples of f or from all.

This file draws outputs of the base function. `quantile_guarantee` states what they prove.
"""

from collections.abc import Callable
from typing import Any, Unpack

from torch import Tensor

from smoothing.arguments import probability, whole_number
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_guarantee import require_all, require_finite
from smoothing.noise import FiniteNoise, Noise
from smoothing.quantile_guarantee import (
    QuantileCertificate,
    QuantileDraws,
    exact_ranks,
    quantile_certificate,
    ranks,
    require_feasible,
)
from smoothing.sampling import AllCopies, Request
from smoothing.stored_outputs import StoredOutputs


class _Quantile(StoredOutputs[QuantileCertificate]):
    """What the sampled and the exact certifier share."""

    columns = (
        *("index", "eps_in", "width", "n", "lower_rank", "upper_rank", "not_finite", "status", "seconds", "reason"),
        "failure_probability",
    )
    shown = ("index", "eps_in", "width", "not_finite", "status", "failure_probability", "seconds")

    p: float


class MedianSmoothing(_Quantile):
    """The median, or another quantile, of each output number of f under noise, with certified intervals.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), real; a frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        n: samples.
        alpha: probability that any of the intervals of one input is false; shared equally among all bounds.
        p: the quantile, in (0, 1); 1/2 is the median.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is out of range. `cases` raises it if n samples can never certify an eps.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> h = MedianSmoothing(lambda x: 2 * x.sum(dim=1), Gaussian(sigma=0.5), n=2000)
        >>> c = h.certify(torch.zeros(1), eps=0.25, example=0)  # h(x') is 2 x', so from -0.5 to 0.5
        >>> -0.7 < c.lower.item() < -0.5, 0.5 < c.upper.item() < 0.7, c.status
        (True, True, 'certified')
    """

    rereadable = ("alpha", "p")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n: int,
        alpha: float = 0.001,
        p: float = 0.5,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, **evaluation)
        self.n, self.alpha = whole_number("certifier.n", n, 1), probability("certifier.alpha", alpha)
        self.p = probability("certifier.p", p)

    @property
    def samples(self) -> int:
        return self.n

    def cases(self, eps: Any) -> list[float]:
        radii = super().cases(eps)
        require_feasible(self.n, self.p, self.alpha, radii, self.noise)
        return radii

    def read(self, draws: QuantileDraws, eps: float) -> QuantileCertificate:
        self.origin.require(draws)
        n, k = draws.outputs.shape
        found = ranks(self.p, eps, self.noise, n, self.alpha / (2 * max(1, k)))
        return quantile_certificate(draws, eps, self.p, found, self.alpha)


class ExactMedianSmoothing(_Quantile):
    """Deterministic median smoothing: all noisy inputs of a finite noise, so no certificate can be false.

    Args:
        f: base function, see `MedianSmoothing`.
        noise: a finite noise, such as `DeterministicSplitting`.
        p: the quantile, in (0, 1).
        evaluation: see `Evaluation`; the seed is not used.

    Raises:
        SettingError: the noise is not finite, or p is out of range.
    """

    rereadable = ("p",)
    noise: FiniteNoise

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        p: float = 0.5,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, require_finite(noise), **evaluation)
        self.p = probability("certifier.p", p)

    @property
    def samples(self) -> int:
        return self.noise.steps

    def read(self, draws: QuantileDraws, eps: float) -> QuantileCertificate:
        self.origin.require(draws)
        require_all(len(draws.outputs), self.noise)
        return quantile_certificate(draws, eps, self.p, exact_ranks(self.p, eps, self.noise), 0.0)

    def _request(self, x: Tensor, example: int) -> Request:
        return AllCopies(x, self.noise, self._kept)
