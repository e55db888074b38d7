"""The smoothed classifier: sampling the votes of a base classifier under noise.

Cohen, Rosenfeld and Kolter (2019), Predict and Certify; what is concluded from the votes is in `classifier_guarantee`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from smoothing import classifier_guarantee, exact_guarantee
from smoothing.base_function import FrozenFunction, Precision
from smoothing.classifier_guarantee import ClassificationCertificate, Prediction
from smoothing.engine import Engine
from smoothing.errors import BaseFunctionError, SettingError
from smoothing.exact_guarantee import ExactCertificate
from smoothing.noise import Noise
from smoothing.sampling import Levels, Procedure, Samples
from smoothing.streams import Stage, Stream


class SmoothedClassifier:
    """g(x) = the class that the base classifier gives most probably to x under noise.

    Args:
        f: base classifier, (b, *input shape) -> (b, number of classes) scores. A frozen copy is certified
            (`FrozenFunction`). Row i's class is that of its largest score; a row that is not finite is of no class.
        noise: smoothing distribution in the input space.
        seed: every sample is a function of (seed, example, stage, sample number).
        batch_size: samples shown to f at once, None for the fastest; changes no sample.
        precision: see `FrozenFunction`, as for compiled.
        on_samples: called with the number of samples just evaluated.
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        seed: int = 0,
        batch_size: int | None = 128,
        precision: Precision = "float32",
        compiled: bool = False,
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> None:
        if seed < 0:
            raise SettingError(f"seed: expected at least 0, got {seed}")
        self.f = FrozenFunction(f, precision, compiled)
        self.engine = Engine(self.f, batch_size, on_samples)
        self.noise, self.seed = noise, seed

    def certify(
        self,
        x: Tensor,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        *,
        example: int = 0,
        stop_unless: int | None = None,
    ) -> ClassificationCertificate:
        """The class of g at x and a radius within which it does not change (Certify).

        Args:
            x: one input, (*input shape), floating-point, on the device to compute on.
            n0: samples that select the class.
            n: fresh samples that estimate its probability.
            alpha: probability that the certificate is false.
            example: which streams of samples to use; take another for another x.
            stop_unless: for evaluation only: leave out the estimation unless this class, the label, is selected.

        Raises:
            SettingError: n and alpha can never certify, or are out of range.
            BaseFunctionError: see `FrozenFunction`; or scores of the wrong shape.
        """
        return self.engine.run(self.certifying(x, n0, n, alpha, example=example, stop_unless=stop_unless))

    def certifying(
        self, x: Tensor, n0: int, n: int, alpha: float, *, example: int, stop_unless: int | None = None
    ) -> Procedure[ClassificationCertificate]:
        """`certify`, as a procedure for `Engine.run_all`."""
        classifier_guarantee.require_certifiable(n0, n, alpha)
        selection = self.samples(x, n0, example, Stage.SELECTION)
        estimation = self.samples(x, n, example, Stage.ESTIMATION)
        if stop_unless is None:
            (selected, estimated) = yield [selection, estimation]
            guess = int(votes(selected).argmax())
        else:
            (selected,) = yield [selection]
            guess = int(votes(selected).argmax())
            if guess != stop_unless:
                return classifier_guarantee.misclassified(guess, n0)
            (estimated,) = yield [estimation]
        counts = votes(estimated)
        n_a = int(counts[guess])
        counts[guess] = -1
        n_b = max(0, int(counts.max()))
        return classifier_guarantee.certificate(guess, n_a, n_b, n, n0, self.noise, alpha)

    def predict(self, x: Tensor, n: int = 1000, alpha: float = 0.001, *, example: int = 0) -> Prediction:
        """The class of g at x, or an abstention (Predict). Arguments and errors as for `certify`."""
        return self.engine.run(self.predicting(x, n, alpha, example=example))

    def predicting(self, x: Tensor, n: int, alpha: float, *, example: int) -> Procedure[Prediction]:
        """`predict`, as a procedure for `Engine.run_all`."""
        classifier_guarantee.require_predictable(n, alpha)
        (answers,) = yield [self.samples(x, n, example, Stage.PREDICTION)]
        counts, classes = votes(answers).sort(descending=True, stable=True)
        n_b = int(counts[1]) if len(counts) > 1 else 0
        return classifier_guarantee.prediction(int(classes[0]), int(counts[0]), n_b, n, alpha)

    def certify_exactly(self, x: Tensor) -> ExactCertificate:
        """The class of g at x and the radius within which it does not change, without sampling (DSSN).

        Args:
            x: one input, (*input shape), floating-point, on the grid that the noise is on.

        Raises:
            SettingError: the noise is not finite; or x is off its grid.
            BaseFunctionError: see `FrozenFunction`; or scores of the wrong shape.
        """
        return self.engine.run(self.certifying_exactly(x))

    def certifying_exactly(self, x: Tensor) -> Procedure[ExactCertificate]:
        """`certify_exactly`, as a procedure for `Engine.run_all`."""
        noise = exact_guarantee.require_finite(self.noise)
        (answers,) = yield [Levels(x, noise, count_votes, shared=True)]
        return exact_guarantee.exact_certificate(votes(answers).tolist(), noise)

    def votes(self, x: Tensor, n: int, example: int, stage: Stage) -> Tensor:
        """How many of n noisy copies of x f gives to each class: (number of classes,), int64, on the CPU."""

        def counting() -> Procedure[Tensor]:
            (answers,) = yield [self.samples(x, n, example, stage)]
            return votes(answers)

        return self.engine.run(counting())

    def samples(self, x: Tensor, n: int, example: int, stage: Stage, first: int = 0) -> Samples:
        """The request for the votes at n samples of a stage, from number `first` on."""
        return Samples(x, self.noise, count_votes, Stream(self.seed, example, stage), n, first, shared=True)


def count_votes(scores: Tensor) -> Tensor:
    """Votes of some rows, (b, classes) -> (classes + 1,), int64, on the scores' device; last, the rows of no class."""
    if scores.dim() != 2 or not scores.is_floating_point():
        raise BaseFunctionError(f"base classifier: expected scores (b, classes), got {tuple(scores.shape)}")
    nowhere = scores.shape[1]
    classes = torch.where(scores.isfinite().all(dim=1), scores.argmax(dim=1), nowhere)
    return torch.zeros(nowhere + 1, dtype=torch.int64, device=scores.device).scatter_add_(
        0, classes, torch.ones_like(classes)
    )


def votes(answers: list[Tensor]) -> Tensor:
    """All votes of a request: (classes,), int64, on the CPU; the device is waited for here alone."""
    return torch.stack(answers).sum(dim=0)[:-1].cpu()
