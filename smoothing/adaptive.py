"""Certify with as few samples as needed: stop when the answer is known. The bound holds at any stopping time."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from math import ceil, inf
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from smoothing import betting, classifier_guarantee
from smoothing.arguments import number
from smoothing.certifiers import Certify
from smoothing.classifier_guarantee import ClassificationCertificate
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.noise import Noise
from smoothing.sampling import Procedure
from smoothing.smoothed_classifier import total
from smoothing.streams import BLOCK, Stage

CHUNK = BLOCK // 2  # the fewest samples between two checks
Decision = Literal["yes", "no", "undecided", ""]


@dataclass(frozen=True)
class AdaptiveCertificate(ClassificationCertificate):
    """A `ClassificationCertificate` with n, the number of samples that were needed.

    Attributes:
        decision: yes: the certified radius is at least the given one. no: class A's probability is too low for the
            given radius. This is false with probability at most alpha, in addition to the certificate's alpha, and says
            nothing about safety. The certificate of the smaller radius still holds. undecided: n samples were not
            enough to decide. Empty if there was nothing to decide, or nothing was estimated.
    """

    decision: Decision


class Adaptive(Certify):
    """Cohen et al.'s Certify with a bound that holds after any number of samples (`betting`), checked as they arrive.

    It uses the samples of Certify: the same selection samples, and the first estimation samples of the same stream. It
    draws CHUNK samples at a time at first, later an eighth of those drawn so far.

    Args:
        f: base classifier.
        noise: smoothing distribution.
        n0: samples that select the class.
        n: the most fresh samples that estimate its probability (n_max).
        alpha: probability that a certificate is false.
        mode: "decide": stop when it is known whether the radius is at least `radius`. "radius": stop when further
            samples would increase the radius by less than `tolerance`.
        radius: the radius to decide on, > 0, in the noise's threat norm and the units of the input. Only for "decide".
        tolerance: > 0, in the same units. Only for "radius". The radius with all n samples is predicted from the upper
            bound on the probability of class A at level alpha. Sampling stops when the current radius is within the
            tolerance of it. Stopping makes no claim, so it uses no part of alpha.
        stop_if_misclassified: see `Certify`.
        num_classes: number of classes, see `SmoothedClassifier`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is missing or out of range; or n samples can never certify, or never `radius`.
    """

    columns = (*Certify.columns, "decision")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        mode: str = "decide",
        radius: float | None = None,
        tolerance: float | None = None,
        stop_if_misclassified: bool = False,
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(
            f,
            noise,
            n0=n0,
            n=n,
            alpha=alpha,
            stop_if_misclassified=stop_if_misclassified,
            num_classes=num_classes,
            **evaluation,
        )
        n, alpha = self.n, self.alpha
        if betting.lower(n, n, alpha) <= 0.5:
            least = next(m for m in count(n) if betting.lower(m, m, alpha) > 0.5)
            raise SettingError(
                f"certifier.n: {n} samples can never certify by an adaptive bound at alpha={alpha:g}; "
                f"at least {least} are needed"
            )
        if mode not in ("decide", "radius"):
            raise SettingError(f"certifier.mode: expected decide or radius, got {mode}")
        self.tolerance = _positive("tolerance", tolerance) if mode == "radius" else None
        self.needed = self._least_probability(_positive("radius", radius)) if mode == "decide" else None

    @property
    def largest_radius(self) -> float:
        """The radius when all n samples agree, the largest possible."""
        return self.noise.radius(betting.lower(self.n, self.n, self.alpha))

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[AdaptiveCertificate]:
        (selected,) = yield [self.request(x, self.n0, example, Stage.SELECTION)]
        found = total(selected)
        guess = int(found.argmax())
        if self.stop_if_misclassified and (guess != label or not found.any()):
            left_out = classifier_guarantee.left_out(guess, int(found.sum()), self.n0)
            return AdaptiveCertificate(**asdict(left_out), decision="")
        n, counts, decision = 0, torch.zeros((), dtype=torch.int64), None
        while decision is None:
            more = chunk(n, self.n)
            (answers,) = yield [self.request(x, more, example, Stage.ESTIMATION, first=n)]
            n, counts = n + more, counts + total(answers)
            decision = self.decided(int(counts[guess]), n)
        return self._certificate(guess, counts, n, decision)

    def read_again(self, row: Mapping[str, Any]) -> AdaptiveCertificate:
        raise SettingError("certifier: rows of Adaptive cannot be read again: n depends on the samples")

    def decided(self, n_a: int, n: int) -> Decision | None:
        """The decision after n samples, n_a of them of class A; None to continue sampling."""
        if self.needed is None:
            return "" if n == self.n or self._left_to_gain(n_a, n) < (self.tolerance or 0) else None
        if betting.above(n_a, n, self.needed, self.alpha):
            return "yes"
        if betting.above(n - n_a, n, 1 - self.needed, self.alpha):
            return "no"
        return "undecided" if n == self.n else None

    def _left_to_gain(self, n_a: int, n: int) -> float:
        highest = betting.upper(n_a, n, self.alpha)
        in_the_end = betting.lower(min(self.n, ceil(n_a + highest * (self.n - n))), self.n, self.alpha)
        return self.noise.radius(in_the_end) - self.noise.radius(betting.lower(n_a, n, self.alpha))

    def _certificate(self, guess: int, counts: Tensor, n: int, decision: Decision) -> AdaptiveCertificate:
        others = counts.tolist()
        n_a = others.pop(guess)
        n_b = max(others, default=0)
        p_lower = betting.lower(n_a, n, self.alpha)
        if decision == "yes":
            assert self.needed is not None
            p_lower = max(p_lower, self.needed)  # which was shown, and is the bound where that is only just so
        of_no_class = n - int(counts.sum())
        found = classifier_guarantee.certificate_at(
            p_lower, guess, n_a, n_b, n, self.n0, self.noise, self.alpha, of_no_class
        )
        return AdaptiveCertificate(**asdict(found), decision=decision)

    def _least_probability(self, radius: float) -> float:
        """The least probability whose radius is at least `radius`."""
        low, high = 0.0, betting.lower(self.n, self.n, self.alpha)
        if self.noise.radius(high) < radius:
            raise SettingError(
                f"certifier.radius: {self.n} samples at alpha={self.alpha:g} certify at most "
                f"{self.largest_radius:.4g}, got {radius}; take more (certifier.n) or a smaller radius"
            )
        while low < (p := (low + high) / 2) < high:
            low, high = (low, p) if self.noise.radius(p) >= radius else (p, high)
        return high


def chunk(n: int, n_max: int) -> int:
    """The number of samples to draw after the first n, at most up to n_max."""
    return min(n_max - n, CHUNK * ceil(max(CHUNK, n / 8) / CHUNK))


def _positive(name: str, value: float | None) -> float:
    found = None if value is None else number(f"certifier.{name}", value)
    if found is None or not 0 < found < inf:
        raise SettingError(
            f"certifier.{name}: this mode needs a positive number in the units of the input, as certifier.{name}=0.1; "
            f"got {value}"
        )
    return found
