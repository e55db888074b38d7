"""Certify with as few samples as needed: stop when the answer is known. The bound holds at any stopping time."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from math import ceil, floor, inf
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from smoothing import betting, classifier_guarantee
from smoothing.arguments import number
from smoothing.certifiers import YOUNGER, Certify
from smoothing.classifier_guarantee import ClassificationCertificate
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.noise import Noise
from smoothing.sampling import Procedure
from smoothing.smoothed_classifier import split, total
from smoothing.streams import BLOCK, Stage

CHUNK = BLOCK // 2  # the fewest samples between two checks
Decision = Literal["yes", "no", "undecided", ""]


@dataclass(frozen=True)
class AdaptiveCertificate(ClassificationCertificate):
    """A `ClassificationCertificate` with n, the number of samples that were needed.

    Attributes:
        decision: yes: the certified radius is at least the given one. no: with runner_up=complement, p_A is too small
            for the given radius if only p_A is known, though the other classes may share so much of the rest that the
            true radius is larger; with runner_up=bounded, p_A and the largest other probability are too close for it.
            This is false with probability at most alpha, in addition to the certificate's alpha, and says nothing about
            safety. The certificate of the smaller radius still holds. undecided: n samples were not enough to decide.
            Empty if there was nothing to decide, or nothing was estimated.
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
        tolerance: > 0, in the same units. Only for "radius". The radius with all n samples is predicted from the most
            that the probabilities may be, at level alpha. Sampling stops when the current radius is within the
            tolerance of it. Stopping makes no claim, so it uses no part of alpha.
        runner_up: "complement": bet on class A alone. "bounded": also bet on the other classes, with half of alpha
            (`ClassBounds`); the bounds hold for all classes and numbers of samples at once.
        stop_if_misclassified: see `Certify`.
        num_classes: number of classes, see `SmoothedClassifier`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is missing or out of range; or n samples can never certify, or never `radius`.
    """

    columns = (*(column for column in Certify.columns if column not in YOUNGER), "decision", *YOUNGER)

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
        runner_up: str = "complement",
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
            runner_up=runner_up,
            stop_if_misclassified=stop_if_misclassified,
            num_classes=num_classes,
            **evaluation,
        )
        n, level = self.n, self.bounds.level
        if betting.lower(n, n, level) <= 0.5:
            least = next(m for m in count(n) if betting.lower(m, m, level) > 0.5)
            raise SettingError(
                f"certifier.n: {n} samples can never certify by an adaptive bound at alpha={self.alpha:g}; "
                f"at least {least} are needed"
            )
        if mode not in ("decide", "radius"):
            raise SettingError(f"certifier.mode: expected decide or radius, got {mode}")
        self.tolerance = _positive("tolerance", tolerance) if mode == "radius" else None
        self.radius = _positive("radius", radius) if mode == "decide" else None
        if self.radius and self.radius > self.largest_radius:
            raise SettingError(
                f"certifier.radius: {n} samples at alpha={self.alpha:g} certify at most {self.largest_radius:.4g}, "
                f"got {radius}; take more (certifier.n) or a smaller radius"
            )

    @property
    def largest_radius(self) -> float:
        """The radius when all n samples agree, the largest possible."""
        return self.noise.radius(betting.lower(self.n, self.n, self.bounds.level))

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
            decision = self.decided(*split(counts, guess), n, len(counts))
        return self._certificate(guess, counts, n, decision)

    def read_again(self, row: Mapping[str, Any]) -> AdaptiveCertificate:
        raise SettingError(
            "certifier: rows of Adaptive cannot be read again, because n depends on the samples; certify again"
        )

    def decided(self, n_a: int, n_b: int, n: int, classes: int) -> Decision | None:
        """The decision after n samples, n_a of class A and at most n_b of each other; None to continue sampling."""
        if self.tolerance is not None:
            return "" if self._gain_left(n_a, n_b, n, classes) < self.tolerance else None
        assert self.radius is not None
        if self.noise.radius(*self.bounds_after(n_a, n_b, n, classes)) >= self.radius:
            return "yes"
        if self.noise.radius(*self.most_after(n_a, n_b, n, classes)) < self.radius:
            return "no"
        return "undecided" if n == self.n else None

    def _gain_left(self, n_a: int, n_b: int, n: int, classes: int) -> float:
        """How much further samples may add to the radius: what all n of them would certify at best, less the radius."""
        left = self.n - n
        if not left:
            return 0.0
        most_a, least_b = self.most_after(n_a, n_b, n, classes)
        a, b = min(self.n, ceil(n_a + most_a * left)), floor(n_b + (least_b or 0) * left)
        now, in_the_end = self.bounds_after(n_a, n_b, n, classes), self.bounds_after(a, b, self.n, classes)
        return self.noise.radius(*in_the_end) - self.noise.radius(*now)

    def bounds_after(self, n_a: int, n_b: int, n: int, classes: int) -> tuple[float, float | None]:
        """A lower bound on p_A, and an upper one on every other class's probability; None for 1 - p_A."""
        own, others = self.bounds.levels(classes)
        p_lower = betting.lower(n_a, n, own)
        return p_lower, min(betting.upper(n_b, n, others), 1 - p_lower) if others else None

    def most_after(self, n_a: int, n_b: int, n: int, classes: int) -> tuple[float, float | None]:
        """The reverse: an upper bound on p_A, below 1, and a lower one on the runner-up's, above 0; None for 1 - p_A.

        They hold together with probability at least 1 - alpha, apart from those of `bounds_after`.
        """
        own, others = self.bounds.levels(classes)
        p_upper = min(betting.upper(n_a, n, own), 1 - 2**-53)
        return p_upper, max(betting.lower(n_b, n, others), 1e-300) if others else None

    def _certificate(self, guess: int, counts: Tensor, n: int, decision: Decision) -> AdaptiveCertificate:
        (n_a, n_b), classes = split(counts, guess), len(counts)
        p_lower, p_upper = self.bounds_after(n_a, n_b, n, classes)
        found = classifier_guarantee.certificate_at(
            p_lower=p_lower,
            p_upper=p_upper,
            guess=guess,
            n_a=n_a,
            n_b=n_b,
            n=n,
            n0=self.n0,
            noise=self.noise,
            alpha=self.alpha,
            classes=classes,
            of_no_class=n - int(counts.sum()),
        )
        return AdaptiveCertificate(**asdict(found), decision=decision)


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
