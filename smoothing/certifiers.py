"""Certifiers that run one method of a smoothed classifier with fixed settings on every example."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Unpack

from torch import Tensor

from smoothing import classifier_guarantee, exact_guarantee
from smoothing.certifier import Certifier
from smoothing.classifier_guarantee import ABSTAIN, ClassificationCertificate, Prediction
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.exact_guarantee import ExactCertificate
from smoothing.noise import Noise
from smoothing.noise.l1 import L1Noise, lambda_of
from smoothing.randomised import uniform_number
from smoothing.sampling import Procedure
from smoothing.smoothed_classifier import Voting

COUNTS = ("index", "label", "predict", "radius", "correct", "n_a", "n_b", "n", "p_lower", "status", "seconds")
YOUNGER = ("p_upper", "classes")
SHOWN = ("index", "label", "predict", "radius", "p_lower", "status", "failure_probability", "seconds")


class ClassifierCertifier(Voting, Certifier):
    """A smoothed classifier that makes one statement on each example; see `Certifier`."""

    def __call__(self, x: Any, example: int, label: int = ABSTAIN) -> Any:
        """The statement on x, (*input shape), from the samples of streams `example`."""
        return self.engine.run(self.procedure(self.input(x), example, label))

    @property
    def announcement(self) -> str:
        noise = self.noise
        if not isinstance(noise, L1Noise):
            return ""
        wanted = lambda_of(noise.sigma)
        rounded = f", rounded down from {wanted:.7g}" if noise.lam < wanted else ""
        return f"{noise}: lambda = {noise.lam:.7g}{rounded}"


class Certify(ClassifierCertifier):
    """Cohen et al. (2019), Certify: `SmoothedClassifier.certify` with its settings fixed.

    Args:
        f: base classifier, see `SmoothedClassifier`.
        noise: smoothing distribution.
        n0: samples that select the class.
        n: fresh samples that estimate its probability.
        alpha: probability that a certificate is false.
        runner_up: "complement", as in the paper, or "bounded"; see `ClassBounds`.
        bound: "exact" or "randomised"; see `ClassBounds`.
        stop_if_misclassified: for evaluation only: skip the estimation where the selected class is not the label.
            Certified accuracy and average certified radius do not change: such an example never counts as correct.
        num_classes: number of classes, see `SmoothedClassifier`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: n and alpha can never certify, or are out of range.
    """

    columns: ClassVar[tuple[str, ...]] = (*COUNTS, "reason", "n0", "failure_probability", "guess", *YOUNGER)
    shown = (*SHOWN[:5], "p_upper", *SHOWN[5:])
    younger = YOUNGER
    rereadable = ("alpha", "runner_up", "bound")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        runner_up: str = "complement",
        bound: str = "exact",
        stop_if_misclassified: bool = False,
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, num_classes=num_classes, **evaluation)
        self.n0, self.n, self.bounds = classifier_guarantee.require_certifiable(n0, n, alpha, runner_up, bound)
        self.alpha = self.bounds.alpha
        self.stop_if_misclassified = stop_if_misclassified

    @property
    def samples(self) -> int:
        return self.n0 + self.n

    @property
    def largest_radius(self) -> float:
        """The radius when all n samples agree, the largest possible: sigma Phi^-1(alpha^(1/n)) under Gaussian noise."""
        return self.noise.radius(self.bounds.at(self.n, 0, self.n, self.num_classes or 3)[0])

    @property
    def announcement(self) -> str:
        largest = f"the largest radius that n={self.n} at alpha={self.alpha:g} can certify: {self.largest_radius:.4g}"
        of_noise = super().announcement
        return f"{of_noise}\n{largest}" if of_noise else largest

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[ClassificationCertificate]:
        return self.certifying(
            x,
            self.n0,
            self.n,
            self.alpha,
            runner_up=self.bounds.runner_up,
            bound=self.bounds.bound,
            example=example,
            stop_unless=label if self.stop_if_misclassified else None,
        )

    def read_again(self, row: Mapping[str, Any]) -> ClassificationCertificate:
        """The certificate that a row's counts give under this certifier's alpha, runner_up and bound; n and n0 are the
        row's. Rows without the column `classes` have `num_classes`.

        The samples must come from this noise. Fix these settings before you look at the row.

        Raises:
            SettingError: the row is of `Adaptive`, whose n depends on the samples, so this bound does not hold for it;
                or the number of classes is not known.
        """
        if "decision" in row:
            raise SettingError(
                "certifier: rows of Adaptive cannot be read again, because n depends on the samples; certify again"
            )
        guess, n_a, n_b, n, n0 = (int(row[name]) for name in ("guess", "n_a", "n_b", "n", "n0"))
        if n == 0:
            return classifier_guarantee.left_out(guess, 0 if guess == ABSTAIN else n0, n0)
        classes = int(row["classes"]) if "classes" in row else self.num_classes
        if classes is None and self.bounds.runner_up == "bounded":
            raise SettingError(
                "num_classes: expected the number of classes, which runner_up=bounded needs and the row lacks"
            )
        return classifier_guarantee.certificate(
            guess=guess,
            n_a=n_a,
            n_b=n_b,
            n=n,
            n0=n0,
            noise=self.noise,
            bounds=self.bounds,
            classes=classes or 0,
            u=uniform_number(self.seed, int(row["index"])) if self.bounds.bound == "randomised" else 1.0,
        )

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return int(row["n"]) + int(row["n0"])


class Predict(ClassifierCertifier):
    """Cohen et al. (2019), Predict: `SmoothedClassifier.predict` with its settings fixed.

    Args:
        f: base classifier, see `SmoothedClassifier`.
        noise: smoothing distribution.
        n: samples.
        alpha: probability that the predicted class is not the smoothed classifier's.
        num_classes: number of classes, see `SmoothedClassifier`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: n samples always abstain at alpha, or a number is out of range.
    """

    columns = (
        *("index", "label", "predict", "correct", "n_a", "n_b", "n", "p_value", "status", "seconds"),
        *("reason", "failure_probability"),
    )
    shown = ("index", "label", "predict", "p_value", "status", "failure_probability", "seconds")
    rereadable = ("alpha",)

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n: int = 10_000,
        alpha: float = 0.001,
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, num_classes=num_classes, **evaluation)
        self.n, self.alpha = classifier_guarantee.require_predictable(n, alpha)

    @property
    def samples(self) -> int:
        return self.n

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[Prediction]:
        return self.predicting(x, self.n, self.alpha, example=example)

    def read_again(self, row: Mapping[str, Any]) -> Prediction:
        """The prediction that a row's counts give at this alpha; n is the row's. Raises SettingError.

        A row that abstained does not contain the class, so it can only abstain again.
        """
        top, n_a, n_b, n = (int(row[name]) for name in ("predict", "n_a", "n_b", "n"))
        found = classifier_guarantee.prediction(top, n_a, n_b, n, self.alpha)
        if top == ABSTAIN and found.status == "predicted":
            raise SettingError("certifier.alpha: the row abstained, so it does not contain the class; predict anew")
        return found


class ExactCertify(ClassifierCertifier):
    """Levine and Feizi (2020b, 2021): `SmoothedClassifier.certify_exactly`, from all noisy inputs of a finite noise.

    Args:
        f: base classifier, see `SmoothedClassifier`.
        noise: a finite noise: `DeterministicSplitting` against l1, `BandAblation` or `BlockAblation` against patches.
        num_classes: number of classes, see `SmoothedClassifier`.
        evaluation: see `Evaluation`; the seed is not used.

    Raises:
        SettingError: the noise is not finite.
    """

    columns = (*COUNTS, "reason", "failure_probability", "runner_up", "radius_steps", "levels", "not_finite")
    shown = SHOWN

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        self.n = exact_guarantee.require_finite(noise).steps
        super().__init__(f, noise, num_classes=num_classes, **evaluation)

    @property
    def samples(self) -> int:
        return self.n

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[ExactCertificate]:
        return self.certifying_exactly(x)
