"""Robust conformal sets (BinCP, Zargarbashi and Bojchevski 2025): sets of classes that hold the right one.

This file counts the noisy inputs at which a class's score is large. `conformal_guarantee` states what they prove.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import inf
from typing import Any, ClassVar, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from smoothing.agreement import alike
from smoothing.arguments import input_radii, probability, several, whole_number
from smoothing.certifier import Calibrated
from smoothing.class_scores import checked_score, class_scores
from smoothing.conformal_guarantee import ConformalDraws, ConformalSet, conformal_set, needed, order, rank, threshold
from smoothing.errors import BaseFunctionError, SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.noise import Noise
from smoothing.origin import Origin
from smoothing.sampling import Procedure, Request, Samples
from smoothing.smoothed import Smoothed
from smoothing.streams import Stage, Stream

# How far f's output at an input may be from that at calibration: relative to its largest number, and in units in the
# last digit.
LARGEST, UNITS = 0.01, 4


@dataclass(frozen=True)
class CalibrationScore:
    """What a calibration example gives.

    Attributes:
        score: T, the j-th largest score of its class.
    """

    score: float


class Conformal(Smoothed, Calibrated):
    """What the sampled and the exact certifier share."""

    columns: ClassVar[tuple[str, ...]] = (
        *("index", "label", "eps_in", "classes", "size", "needed", "counts", "tau", "n", "status", "seconds"),
        "failure_probability",
    )
    shown: ClassVar[tuple[str, ...]] = (
        *("index", "label", "eps_in", "classes", "size", "status", "failure_probability", "seconds"),
    )
    case = "eps_in"
    draws: ClassVar[type | None] = ConformalDraws
    calibration_columns: ClassVar[tuple[str, ...]] = ("index", "label", "score")
    axes = 2

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        p: float,
        alpha: float,
        held_out: int,
        score: str,
        num_classes: int | None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, **evaluation)
        self.origin = Origin(self.f, self.noise)
        self.p, self.alpha = probability("certifier.p", p), probability("certifier.alpha", alpha)
        self.held_out = whole_number("certifier.held_out", held_out, 1)
        self.score, self.num_classes, self.tau = checked_score(score), num_classes, inf
        self.j, self._known = order(self.p, self.n), dict[float, int]()
        self._calibrated_with: set[int] = set()  # numbers of streams
        self._remembered: tuple[Tensor, Tensor] | None = None  # an input, and f's output at it, of calibration
        rank(self.held_out, self.level)

    n: int  # noisy copies of an input
    level: Fraction  # of the threshold: T < tau with at most this probability

    @property
    def samples(self) -> int:
        return self.n

    def needed(self, eps: float) -> int:
        """The number of samples that must reach tau: t of the theorem. Computed once for each eps."""
        if eps not in self._known:
            self._known[eps] = self._t(eps)
        return self._known[eps]

    @abstractmethod
    def _t(self, eps: float) -> int:
        """Compute `needed`."""

    @abstractmethod
    def request(self, x: Tensor, example: int, reduce: Callable[[Tensor], Tensor]) -> Request:
        """A request for the noisy copies of x. It shares batches, so that scores are rounded in one way everywhere."""

    def scores(self, outputs: Tensor) -> Tensor:
        """The scores of all classes, see `class_scores`."""
        return class_scores(outputs, self.score, self.num_classes)

    def calibrating(self, x: Tensor, example: int, label: int) -> Procedure[Any]:
        def scores_of_label(outputs: Tensor) -> Tensor:
            scores = self.scores(outputs)
            if not 0 <= label < scores.shape[1]:
                raise SettingError(f"label: expected a class from 0 to {scores.shape[1] - 1}, got {label}")
            return scores[:, label]

        (answers,) = yield [self.request(x, example, scores_of_label)]
        found = torch.cat(answers)
        return CalibrationScore(float(found.kthvalue(len(found) - self.j + 1).values))

    def calibrate(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Calibrated.calibrate`. A row's index, if it has one, is the number of the streams that it used."""
        self._calibrated_with = {int(row["index"]) for row in rows if "index" in row}
        self.next_example = max(self.next_example, *(number + 1 for number in self._calibrated_with), 0)
        self._remembered = None
        self.tau = threshold(np.array([float(row["score"]) for row in rows]), self.level)

    def calibrate_on(self, examples: Iterable[tuple[Any, int]]) -> float:
        """Calibrate on pairs of an input, (*input shape), and its class. Returns tau.

        They must be exchangeable with the inputs that are certified later, and f must not depend on them.

        Raises:
            SettingError: they are too few, or no inputs; or a label is not the number of a class.
            BaseFunctionError: see `FrozenFunction` and `class_scores`.
        """
        rows: list[dict[str, float]] = []
        remembered: tuple[Tensor, Tensor] | None = None
        for x, label in examples:
            given, number = self.input(x), self.number_of(None)
            found = self.engine.run(self.calibrating(given, number, whole_number("label", label)))
            rows.append({"index": number, **asdict(found)})
            remembered = remembered or (given[None], self.f(given[None]))
        self.calibrate(rows)
        self._remembered = remembered
        return self.tau

    def _require_same_f(self) -> None:
        """The theorem is about one f. A function that cannot be copied may have changed since it was calibrated."""
        if self._remembered is None:
            return
        x, known = self._remembered
        if not alike(self.f(x), known, known, LARGEST, 0.0, UNITS * self.f.unit(known.dtype)):
            raise BaseFunctionError("base function: it has changed since calibration; calibrate again (calibrate_on)")

    @overload
    def certify(self, x: Any, eps: float, example: int | None = None) -> ConformalSet: ...
    @overload
    def certify(self, x: Any, eps: Iterable[float], example: int | None = None) -> list[ConformalSet]: ...
    def certify(
        self, x: Any, eps: float | Iterable[float], example: int | None = None
    ) -> ConformalSet | list[ConformalSet]:
        """The set of classes at an input that may be perturbed, for one radius or, from the same samples, several.

        Args:
            x: one input, (*input shape), perturbed or not; moved to f's device.
            eps: input radius or radii in the noise's threat norm, in the units of x.
            example: number of the streams of samples, to reproduce a result; fresh ones by default.

        Raises:
            BaseFunctionError: see `FrozenFunction` and `class_scores`.
            SettingError: x is no input, eps no numbers of at least 0, or too large for any set; or not calibrated, or
                calibrated with the same streams.
        """
        number = None if example is None else whole_number("example", example)
        if number in self._calibrated_with:
            raise SettingError(f"example: expected another number than {number}, whose samples calibration has used")
        one, radii = not several(eps), self.cases(eps)
        self._require_same_f()
        drawn = self.engine.run(self.procedure(self.input(x), self.number_of(number), -1))
        found = self.statements(drawn, radii)
        return found[0] if one else found

    def cases(self, eps: Any) -> list[float]:
        radii = list(dict.fromkeys(input_radii(eps)))
        for radius in radii:
            if self.needed(radius) < 1:
                raise SettingError(
                    f"eps: every class would be in every set at eps={radius:g} under {self.noise}; take a smaller eps, "
                    f"more samples or a larger certifier.p than {self.p:g}"
                )
        return radii

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[Any]:
        if self.tau == inf:
            raise SettingError("certifier: calibrate it before it is used (calibrate_on)")
        counts = yield from self.counting(x, example, (self.tau,))
        return ConformalDraws(counts[0], self.tau, self.n, origin=self.origin)

    def counting(self, x: Tensor, example: int, taus: tuple[float, ...]) -> Procedure[Any]:
        """How many noisy copies of x reach each threshold, for each class: (thresholds, classes), int64."""

        def reached(outputs: Tensor) -> Tensor:
            scores = self.scores(outputs)
            return torch.stack([(scores >= tau).sum(dim=0) for tau in taus])

        (answers,) = yield [self.request(x, example, reached)]
        return torch.stack(answers).sum(dim=0).cpu().numpy()

    def statements(self, drawn: Any, cases: list[float]) -> list[Any]:
        """The set for each case. Raises SettingError if the draws are of another f, noise, calibration or n.

        Stored draws may be read without a calibration: they contain its tau.
        """
        self.origin.require(drawn)
        tau = drawn.tau if drawn.origin is None and self.tau == inf else self.tau
        if (drawn.tau, drawn.n) != (tau, self.n):
            raise SettingError(
                f"draws: expected those of n = {self.n} samples and this calibration's tau = {tau:g}, got n = "
                f"{drawn.n}, tau = {drawn.tau:g}; draw again"
            )
        return [conformal_set(drawn, eps, self.needed(eps), self.alpha) for eps in cases]


class ConformalSets(Conformal):
    """Sets of classes that hold the right one with probability 1 - alpha, for every perturbation within eps.

    Args:
        f: base classifier, (b, *input shape) -> (b, number of classes) logits. A frozen copy is used
            (`FrozenFunction`). A row with NaN has no scores.
        noise: smoothing distribution in the input space.
        n: samples of each example.
        p: the share of an example's samples that reach its own T, in (0, 1).
        alpha: probability that a set lacks the right class, over calibration, example and samples.
        beta: the part of alpha that pays for sampling.
        held_out: number of calibration examples; in a run.
        score: "probability" or "cumulative", see `class_scores`.
        num_classes: number of classes. An f with fewer scores is refused.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is out of range, or held_out too small for alpha.

    Examples:
        >>> from smoothing import Gaussian
        >>> g = ConformalSets(lambda x: torch.cat([-x, x], dim=1), Gaussian(0.5), n=500, alpha=0.1, held_out=100)
        >>> labels = torch.arange(100) % 2
        >>> inputs = 2.0 * labels[:, None] - 1
        >>> _ = g.calibrate_on(zip(inputs, labels))
        >>> g.certify(torch.tensor([0.9]), eps=0.1).classes
        '1'
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n: int = 1000,
        p: float = 0.7,
        alpha: float = 0.1,
        beta: float = 0.01,
        held_out: int = 250,
        score: str = "probability",
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        self.n, self.beta = whole_number("certifier.n", n, 1), probability("certifier.beta", beta)
        if not self.beta < probability("certifier.alpha", alpha):
            raise SettingError(f"certifier.beta: expected less than certifier.alpha={alpha:g}, got {beta:g}")
        self.level = Fraction(alpha) - Fraction(self.beta)
        super().__init__(
            f, noise, p=p, alpha=alpha, held_out=held_out, score=score, num_classes=num_classes, **evaluation
        )

    def _t(self, eps: float) -> int:
        return needed(self.j, self.n, eps, self.noise, self.beta)

    def request(self, x: Tensor, example: int, reduce: Callable[[Tensor], Tensor]) -> Request:
        return Samples(x, self.noise, reduce, Stream(self.seed, example, Stage.ESTIMATION), self.n, shared=True)
