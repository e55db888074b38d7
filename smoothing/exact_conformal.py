"""Robust conformal sets under a finite noise: all noisy inputs, so only the calibration examples are random."""

from collections.abc import Callable
from fractions import Fraction
from typing import Unpack

from torch import Tensor

from smoothing.arguments import probability
from smoothing.conformal_guarantee import exact_needed
from smoothing.conformal_sets import Conformal
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_guarantee import require_finite
from smoothing.noise import FiniteNoise, Noise
from smoothing.sampling import AllCopies, Request


class ExactConformalSets(Conformal):
    """`ConformalSets` from all noisy inputs: no sampling error, and one statement about every perturbation at once.

    Args:
        f: base classifier, see `ConformalSets`.
        noise: a finite noise, such as `DeterministicSplitting`.
        p: the share of an example's noisy inputs that reach its own T, in (0, 1).
        alpha: probability that a set lacks the right class, over calibration and example.
        held_out: number of calibration examples.
        score: "probability" or "cumulative".
        num_classes: number of classes.
        evaluation: see `Evaluation`; the seed chooses the calibration examples.

    Raises:
        SettingError: the noise is not finite, or a setting is out of range.
    """

    noise: FiniteNoise

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        p: float = 0.7,
        alpha: float = 0.1,
        held_out: int = 250,
        score: str = "probability",
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        self.n = require_finite(noise).steps
        self.level = Fraction(probability("certifier.alpha", alpha))
        super().__init__(
            f, noise, p=p, alpha=alpha, held_out=held_out, score=score, num_classes=num_classes, **evaluation
        )

    def _t(self, eps: float) -> int:
        return exact_needed(self.j, eps, self.noise)

    def request(self, x: Tensor, example: int, reduce: Callable[[Tensor], Tensor]) -> Request:
        return AllCopies(x, self.noise, reduce, shared=True)
