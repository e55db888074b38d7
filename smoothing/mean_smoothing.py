"""The mean of bounded outputs under noise, with certified intervals (Kumar et al. 2020).

This file draws outputs of the base function. `mean_guarantee` states what they prove.
"""

from collections.abc import Callable
from math import isfinite
from typing import Unpack

from torch import Tensor

from smoothing.arguments import number, probability, whole_number
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_guarantee import require_all, require_finite
from smoothing.mean_guarantee import Band, Bound, MeanCertificate, band, exact_mean_certificate, mean_certificate, moved
from smoothing.noise import FiniteNoise, Noise
from smoothing.quantile_guarantee import QuantileDraws
from smoothing.sampling import AllCopies, Request
from smoothing.stored_outputs import StoredOutputs


class _Mean(StoredOutputs[MeanCertificate]):
    """What the sampled and the exact certifier share."""

    columns = (*("index", "eps_in", "width", "n", "not_finite", "status", "seconds", "reason", "failure_probability"),)
    shown = ("index", "eps_in", "width", "not_finite", "status", "failure_probability", "seconds")


class MeanSmoothing(_Mean):
    """The mean of each output number of f under noise, clipped to a range, with certified intervals.

    With the same seed it draws the same outputs as `MedianSmoothing`, and reads its stored draws.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), real; a frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        n: samples.
        low: outputs are clipped to at least this, in their units.
        high: and to at most this; above `low`.
        alpha: probability that any of the intervals of one input is false, at any eps; shared equally among all sides.
        bound: of the distribution function, see `mean_guarantee.band`: "exact", or "paper" as in Kumar et al. (2020).
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is out of range.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> h = MeanSmoothing(lambda x: 2 * x.sum(dim=1), Gaussian(sigma=0.5), n=2000, low=-4, high=4)
        >>> c = h.certify(torch.zeros(1), eps=0.25, example=0)  # h(x') is 2 x', so from -0.5 to 0.5
        >>> -0.8 < c.lower.item() < -0.5, 0.5 < c.upper.item() < 0.8, c.status
        (True, True, 'certified')
    """

    rereadable = ("alpha", "low", "high", "bound")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n: int,
        low: float,
        high: float,
        alpha: float = 0.001,
        bound: Bound = "exact",
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, **evaluation)
        self.n, self.alpha = whole_number("certifier.n", n, 1), probability("certifier.alpha", alpha)
        self.low, self.high = checked_range(low, high)
        if bound not in ("exact", "paper"):
            raise SettingError(f"certifier.bound: expected exact or paper, got {bound}")
        self.bound = bound
        self._known: dict[tuple[int, int, float], Band] = {}

    @property
    def samples(self) -> int:
        return self.n

    def read(self, draws: QuantileDraws, eps: float) -> MeanCertificate:
        self.origin.require(draws)
        n, k = draws.outputs.shape
        return mean_certificate(draws, eps, self.low, self.high, self._moved(n, k, eps), self.alpha)

    def _moved(self, n: int, k: int, eps: float) -> Band:
        """Bounds at x', which are the same for all inputs with n samples of k numbers. Computed once for each eps."""
        if (n, k, eps) not in self._known:
            self._known[n, k, eps] = moved(band(n, self.alpha / (2 * max(1, k)), self.bound), eps, self.noise)
        return self._known[n, k, eps]


class ExactMeanSmoothing(_Mean):
    """The mean of each output number under a finite noise: all noisy inputs, so no certificate can be false.

    Args:
        f: base function, see `MeanSmoothing`.
        noise: a finite noise, such as `DeterministicSplitting`.
        low: outputs are clipped to at least this, in their units.
        high: and to at most this; above `low`.
        evaluation: see `Evaluation`; the seed is not used.

    Raises:
        SettingError: the noise is not finite, or a setting is out of range.

    Examples:
        >>> import torch
        >>> from smoothing import DeterministicSplitting
        >>> noise = DeterministicSplitting(sigma=0.5, levels=10, shape=(1,))  # 17 noisy inputs
        >>> c = ExactMeanSmoothing(lambda x: x, noise, low=0, high=1).certify(torch.tensor([0.5]), eps=0.1)
        >>> round(c.width * 17, 4), c.failure_probability  # the smallest output may become 1, the largest 0
        (1.45, 0.0)
    """

    rereadable = ("low", "high")
    noise: FiniteNoise

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        low: float,
        high: float,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, require_finite(noise), **evaluation)
        self.low, self.high = checked_range(low, high)

    @property
    def samples(self) -> int:
        return self.noise.steps

    def read(self, draws: QuantileDraws, eps: float) -> MeanCertificate:
        self.origin.require(draws)
        require_all(len(draws.outputs), self.noise)
        return exact_mean_certificate(draws, eps, self.low, self.high, self.noise.affected(eps))

    def _request(self, x: Tensor, example: int) -> Request:
        return AllCopies(x, self.noise, self._kept)


def checked_range(low: float, high: float) -> tuple[float, float]:
    """The range of the outputs. Raises SettingError unless low < high, both finite."""
    low, high = number("certifier.low", low), number("certifier.high", high)
    if not (low < high and isfinite(low) and isfinite(high)):
        raise SettingError(f"certifier.high: expected a finite number above certifier.low = {low}, got {high}")
    return low, high
