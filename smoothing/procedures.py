"""Certify, Predict and ExactCertify with their settings fixed: what a run does to every example."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from smoothing import classifier_guarantee, exact_guarantee
from smoothing.base_function import Precision
from smoothing.classifier_guarantee import ClassificationCertificate, Prediction
from smoothing.exact_guarantee import ExactCertificate
from smoothing.noise import Noise
from smoothing.sampling import Procedure
from smoothing.smoothed_classifier import SmoothedClassifier
from smoothing.statistics import clopper_pearson_lower


class Certify:
    """Cohen et al.'s Certify. Arguments: `SmoothedClassifier` and its `certify`.

    Args:
        f: base classifier.
        noise: smoothing distribution.
        n0: samples that select the class.
        n: fresh samples that estimate its probability.
        alpha: probability that a certificate is false.
        stop_if_misclassified: for evaluation only: leave out the estimation where the selected class is not the label.
            Certified accuracy and average radius do not change, since such an example never counts as correct.
        num_classes: see `SmoothedClassifier`, as for what follows.
        seed: every sample is a function of (seed, example, stage, sample number).
        batch_size: samples at once; None for the fastest.
        precision: of f, as is compiled.
        on_samples: called with the number of samples just evaluated.

    Raises:
        SettingError: n and alpha can never certify, or are out of range.
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        stop_if_misclassified: bool = False,
        num_classes: int | None = None,
        seed: int = 0,
        batch_size: int | None = 128,
        precision: Precision = "float32",
        compiled: bool = False,
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.n0, self.n, self.alpha = classifier_guarantee.require_certifiable(n0, n, alpha)
        self.g = SmoothedClassifier(
            f,
            noise,
            num_classes=num_classes,
            seed=seed,
            batch_size=batch_size,
            precision=precision,
            compiled=compiled,
            on_samples=on_samples,
        )
        self.stop_if_misclassified = stop_if_misclassified

    @property
    def largest_radius(self) -> float:
        """The radius when all n samples agree, sigma Phi^-1(alpha^(1/n)) for Gaussian noise: no example gets more."""
        return self.g.noise.radius(clopper_pearson_lower(self.n, self.n, self.alpha))

    def __call__(self, x: Any, example: int, label: int) -> ClassificationCertificate:
        """Certify x, (*input shape), whose streams are those of `example`."""
        return self.g.engine.run(self.procedure(self.g.input(x), example, label))

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[ClassificationCertificate]:
        """The same, for `Engine.run_all`."""
        stop_unless = label if self.stop_if_misclassified else None
        return self.g.certifying(x, self.n0, self.n, self.alpha, example=example, stop_unless=stop_unless)


class Predict:
    """Cohen et al.'s Predict. Arguments and errors as for `Certify`."""

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n: int = 10_000,
        alpha: float = 0.001,
        num_classes: int | None = None,
        seed: int = 0,
        batch_size: int | None = 128,
        precision: Precision = "float32",
        compiled: bool = False,
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.n, self.alpha = classifier_guarantee.require_predictable(n, alpha)
        self.g = SmoothedClassifier(
            f,
            noise,
            num_classes=num_classes,
            seed=seed,
            batch_size=batch_size,
            precision=precision,
            compiled=compiled,
            on_samples=on_samples,
        )

    def __call__(self, x: Any, example: int, label: int) -> Prediction:
        """Predict the class of x, (*input shape), whose streams are those of `example`; the label is not looked at."""
        return self.g.engine.run(self.procedure(self.g.input(x), example, label))

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[Prediction]:
        """The same, for `Engine.run_all`."""
        return self.g.predicting(x, self.n, self.alpha, example=example)


class ExactCertify:
    """Levine and Feizi's DSSN certificate: all noisy inputs of a finite noise. Arguments: `SmoothedClassifier`.

    Raises:
        SettingError: the noise is not finite.
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        num_classes: int | None = None,
        batch_size: int | None = 128,
        precision: Precision = "float32",
        compiled: bool = False,
        on_samples: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.n = exact_guarantee.require_finite(noise).steps
        self.g = SmoothedClassifier(
            f,
            noise,
            num_classes=num_classes,
            batch_size=batch_size,
            precision=precision,
            compiled=compiled,
            on_samples=on_samples,
        )

    def __call__(self, x: Any, example: int, label: int) -> ExactCertificate:
        """Certify x, (*input shape); neither the example's number nor its label is looked at."""
        return self.g.engine.run(self.procedure(self.g.input(x), example, label))

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[ExactCertificate]:
        """The same, for `Engine.run_all`."""
        return self.g.certifying_exactly(x)
