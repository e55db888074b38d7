"""The smoothed classifier of Cohen, Rosenfeld and Kolter (2019): Predict and Certify, as their section 3.2 has them.

This file samples votes of the base classifier. `classifier_guarantee` states what they prove.
"""

from collections.abc import Callable, Iterator
from typing import Any, Unpack

import torch
from torch import Tensor

from smoothing import classifier_guarantee, exact_guarantee
from smoothing.arguments import whole_number
from smoothing.classifier_guarantee import ClassificationCertificate, Prediction
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_guarantee import ExactCertificate
from smoothing.noise import Noise
from smoothing.randomised import uniform_number
from smoothing.sampling import AllCopies, Procedure, Samples
from smoothing.smoothed import Smoothed
from smoothing.streams import Stage, Stream
from smoothing.votes import Votes


class Voting(Smoothed):
    """The votes of a base classifier under noise, and the procedures that count them. `SmoothedClassifier` runs these.

    Args:
        f: base classifier, see `SmoothedClassifier`.
        noise: smoothing distribution in the input space.
        num_classes: number of classes.
        evaluation: see `Evaluation`.
    """

    axes = 2  # f gives scores (b, number of classes)

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, **evaluation)
        self.num_classes = None if num_classes is None else whole_number("num_classes", num_classes, 2)
        self._votes = Votes(self.num_classes)

    def certifying(
        self,
        x: Tensor,
        n0: int,
        n: int,
        alpha: float,
        *,
        example: int,
        runner_up: str = "complement",
        bound: str = "exact",
        stop_unless: int | None = None,
    ) -> Procedure[ClassificationCertificate]:
        """`certify`, as a procedure for `Engine.run_all`; x is a floating-point tensor on f's device."""
        n0, n, bounds = classifier_guarantee.require_certifiable(n0, n, alpha, runner_up, bound)
        select = self.request(x, n0, example, Stage.SELECTION)
        estimate = self.request(x, n, example, Stage.ESTIMATION)
        # counts0 <- SampleUnderNoise(f, x, n0, sigma); c_A <- top index in counts0
        if stop_unless is None:
            (selected, estimated) = yield [select, estimate]  # both at once: they are independent
            guess = int(total(selected).argmax())
        else:
            (selected,) = yield [select]
            counts = total(selected)
            guess = int(counts.argmax())
            if guess != stop_unless or not counts.any():
                return classifier_guarantee.left_out(guess, int(counts.sum()), n0)
            (estimated,) = yield [estimate]
        # counts <- SampleUnderNoise(f, x, n, sigma)
        counts = total(estimated)
        of_no_class = n - int(counts.sum())
        n_a, n_b = split(counts, guess)
        # p_A <- LowerConfBound(counts[c_A], n, 1 - alpha); if p_A > 1/2: c_A and sigma Phi^-1(p_A), else ABSTAIN
        return classifier_guarantee.certificate(
            guess=guess,
            n_a=n_a,
            n_b=n_b,
            n=n,
            n0=n0,
            noise=self.noise,
            bounds=bounds,
            classes=len(counts),
            of_no_class=of_no_class,
            u=uniform_number(self.seed, example) if bound == "randomised" else 1.0,
        )

    def predicting(self, x: Tensor, n: int, alpha: float, *, example: int) -> Procedure[Prediction]:
        """`predict`, as a procedure for `Engine.run_all`."""
        n, alpha = classifier_guarantee.require_predictable(n, alpha)
        # counts <- SampleUnderNoise(f, x, n, sigma); c_A, c_B <- top two indices in counts
        (answers,) = yield [self.request(x, n, example, Stage.PREDICTION)]
        counts, classes = total(answers).sort(descending=True, stable=True)
        n_a, n_b = int(counts[0]), int(counts[1])
        # if BinomPValue(n_A, n_A + n_B, 0.5) <= alpha: c_A, else ABSTAIN
        of_no_class = n - int(counts.sum())
        return classifier_guarantee.prediction(int(classes[0]), n_a, n_b, n, alpha, of_no_class=of_no_class)

    def certifying_exactly(self, x: Tensor) -> Procedure[ExactCertificate]:
        """`certify_exactly`, as a procedure for `Engine.run_all`."""
        noise = exact_guarantee.require_finite(self.noise)
        (answers,) = yield [AllCopies(x, noise, self._votes, shared=True)]
        return exact_guarantee.exact_certificate(total(answers).tolist(), noise)

    def votes(self, x: Tensor, n: int, example: int, stage: Stage) -> Tensor:
        """The votes of n noisy copies of x for each class: (number of classes,), int64, on the CPU."""

        def counting() -> Procedure[Tensor]:
            (answers,) = yield [self.request(x, n, example, stage)]
            return total(answers)

        return self.engine.run(counting())

    def request(self, x: Tensor, n: int, example: int, stage: Stage, first: int = 0) -> Samples:
        """A request for the votes of n samples of a stage, from sample number `first` on."""
        return Samples(x, self.noise, self._votes, Stream(self.seed, example, stage), n, first, shared=True)


class SmoothedClassifier(Voting):
    """g(x) = argmax_c P[f(x + noise) = c]: the class that f predicts with the largest probability under noise.

    Args:
        f: base classifier, (b, *input shape) -> (b, number of classes) scores, at least two. A frozen copy is certified
            (`FrozenFunction`). The class of a row is the class with the largest score, the lowest one in a tie. A row
            that contains NaN or +inf, or only -inf, has no class.
        noise: smoothing distribution in the input space.
        num_classes: number of classes. An f with fewer scores is refused, one with more gives a warning.
        evaluation: see `Evaluation`.

    Every method accepts the inputs that `inputs.as_tensor` accepts. A call without `example` draws fresh samples, those
    of `next_example`. The same calls in the same order give the same results.

    Raises:
        SettingError: an argument is out of its range, or a class where an instance is expected.

    Example:
        >>> import torch
        >>> from smoothing import Gaussian, SmoothedClassifier
        >>> g = SmoothedClassifier(lambda x: torch.cat([-x, x], dim=1), Gaussian(sigma=0.5))
        >>> certificate = g.certify(torch.tensor([1.0]), n=10_000)
        >>> certificate.prediction, round(certificate.radius, 2)  # the true radius is 1
        (1, 0.94)
    """

    def certify(
        self,
        x: Any,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        *,
        runner_up: str = "complement",
        bound: str = "exact",
        example: int | None = None,
        stop_unless: int | None = None,
    ) -> ClassificationCertificate:
        """The class of g at x and a radius within which it does not change (Certify).

        Args:
            x: one input, (*input shape); moved to f's device.
            n0: samples that select the class.
            n: fresh samples that estimate its probability.
            alpha: probability that the certificate is false.
            runner_up: "complement", as in the paper; "bounded": also bound the other classes, with half of alpha. The
                radius is larger where several classes share what class A leaves (`ClassBounds`).
            bound: "exact", or "randomised" (`ClassBounds`).
            example: number of the streams of samples to use, to make a certificate again; fresh ones by default.
            stop_unless: for evaluation only: leave out the estimation unless this class, the label, is selected.

        Raises:
            SettingError: n and alpha can never certify, or are out of range; x is no input.
            BaseFunctionError: see `FrozenFunction`; or scores of the wrong shape.
        """
        x, example = self.input(x), self.number_of(example)
        return self.engine.run(
            self.certifying(x, n0, n, alpha, example=example, runner_up=runner_up, bound=bound, stop_unless=stop_unless)
        )

    def certify_all(
        self,
        examples: Any,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        *,
        runner_up: str = "complement",
        bound: str = "exact",
        first: int | None = None,
        progress: bool = False,
    ) -> Iterator[tuple[int, ClassificationCertificate]]:
        """Certify examples one after another; small ones share batches. Errors as for `certify`.

        Args:
            examples: a batch (b, *input shape), a `DataLoader`, a data set, or a list of inputs or of (input, label).
            n0: see `certify`.
            n: fresh samples of each example.
            alpha: probability that a certificate is false, for each example.
            runner_up: see `certify`.
            bound: see `certify`.
            first: `example` of the first one, the others count on from there; the next free number by default.
            progress: show a bar on stderr.

        Yields:
            (number, certificate) of each: `certify(x, example=number)` gives the same certificate.
        """
        classifier_guarantee.require_certifiable(n0, n, alpha, runner_up, bound)

        def certifying(x: Tensor, example: int) -> Procedure[ClassificationCertificate]:
            return self.certifying(x, n0, n, alpha, example=example, runner_up=runner_up, bound=bound)

        return self.each(examples, certifying, first, progress)

    def predict(self, x: Any, n: int = 1000, alpha: float = 0.001, *, example: int | None = None) -> Prediction:
        """The class of g at x, or an abstention (Predict). Arguments and errors as for `certify`."""
        x, example = self.input(x), self.number_of(example)
        return self.engine.run(self.predicting(x, n, alpha, example=example))

    def certify_exactly(self, x: Any) -> ExactCertificate:
        """The class of g at x and the radius within which it does not change, without sampling (DSSN, bands, blocks).

        Args:
            x: one input, (*input shape), on the grid that the noise is on, if any.

        Raises:
            SettingError: the noise is not finite; or x is off its grid.
            BaseFunctionError: see `FrozenFunction`; or scores of the wrong shape.
        """
        exact_guarantee.require_finite(self.noise)
        return self.engine.run(self.certifying_exactly(self.input(x)))


def total(answers: list[Tensor]) -> Tensor:
    """The sum of a request's votes over its batches: (classes,), int64, on the CPU. It waits for the device."""
    return (answers[0] if len(answers) == 1 else torch.stack(answers).sum(dim=0))[:-1].cpu()


def split(counts: Tensor, guess: int) -> tuple[int, int]:
    """The count of class A, and the largest count of another class.

    Examples:
        >>> split(torch.tensor([3, 90, 7]), guess=1)
        (90, 7)
    """
    others = counts.tolist()
    n_a = others.pop(guess)
    return n_a, max(others, default=0)
