"""The smoothed classifier: sampling the votes of a base classifier under noise.

Cohen, Rosenfeld and Kolter (2019), Predict and Certify; what is concluded from the votes is in `classifier_guarantee`.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from smoothing import classifier_guarantee, exact_guarantee
from smoothing.base_function import FrozenFunction, Precision
from smoothing.classifier_guarantee import ClassificationCertificate, Prediction
from smoothing.errors import BaseFunctionError, SettingError
from smoothing.exact_guarantee import ExactCertificate
from smoothing.noise import Noise
from smoothing.sampling import all_noisy_outputs, noisy_outputs
from smoothing.streams import Stage, Stream


class SmoothedClassifier:
    """g(x) = the class that the base classifier gives most probably to x under noise.

    Args:
        f: base classifier, (b, *input shape) -> (b, number of classes) scores; frozen on construction (eval mode). Row
            i's class is that of its largest score; a row that is not finite is of no class.
        noise: smoothing distribution in the input space.
        seed: every sample is a function of (seed, example, stage, sample number).
        batch_size: samples shown to f at once; changes no sample.
        precision: see `FrozenFunction`.
        on_samples: called with the number of samples just evaluated.
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        seed: int = 0,
        batch_size: int = 1000,
        precision: Precision = "float32",
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> None:
        if batch_size < 1:
            raise SettingError(f"batch_size: expected at least 1, got {batch_size}")
        if seed < 0:
            raise SettingError(f"seed: expected at least 0, got {seed}")
        self.f = FrozenFunction(f, precision)
        self.noise, self.seed, self.batch_size, self.on_samples = noise, seed, batch_size, on_samples

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
        classifier_guarantee.require_certifiable(n0, n, alpha)
        guess = int(self.votes(x, n0, example, Stage.SELECTION).argmax())
        if stop_unless is not None and guess != stop_unless:
            return classifier_guarantee.misclassified(guess, n0)
        votes = self.votes(x, n, example, Stage.ESTIMATION)
        n_a = int(votes[guess])
        votes[guess] = -1
        n_b = max(0, int(votes.max()))
        return classifier_guarantee.certificate(guess, n_a, n_b, n, n0, self.noise, alpha)

    def predict(self, x: Tensor, n: int = 1000, alpha: float = 0.001, *, example: int = 0) -> Prediction:
        """The class of g at x, or an abstention (Predict). Arguments and errors as for `certify`."""
        classifier_guarantee.require_predictable(n, alpha)
        votes = self.votes(x, n, example, Stage.PREDICTION)
        counts, classes = votes.sort(descending=True, stable=True)
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
        noise = exact_guarantee.require_finite(self.noise)
        votes = self._count(x, all_noisy_outputs(self.f, x, noise, self.batch_size))
        return exact_guarantee.exact_certificate(votes.tolist(), noise)

    def votes(self, x: Tensor, n: int, example: int, stage: Stage) -> Tensor:
        """How many of n noisy copies of x f gives to each class: (number of classes,), int64, on the CPU."""
        return self._count(
            x, noisy_outputs(self.f, x, self.noise, n, Stream(self.seed, example, stage), self.batch_size)
        )

    def _count(self, x: Tensor, outputs: Iterable[Tensor]) -> Tensor:
        if not x.is_floating_point():
            raise SettingError(f"x: expected a floating-point tensor, got {x.dtype}")
        votes: Tensor | None = None
        for scores in outputs:
            if scores.dim() != 2 or not scores.is_floating_point():
                raise BaseFunctionError(f"base classifier: expected scores (b, classes), got {tuple(scores.shape)}")
            nowhere = scores.shape[1]  # one more place, for rows that are of no class
            classes = torch.where(scores.isfinite().all(dim=1), scores.argmax(dim=1), nowhere)
            if votes is None:
                votes = torch.zeros(nowhere + 1, dtype=torch.int64, device=scores.device)
            votes.scatter_add_(0, classes, torch.ones_like(classes))  # stays on the device
            self.on_samples(len(scores))
        assert votes is not None
        return votes[:-1].cpu()
