"""The guarantee for smoothed classifiers: from class counts to a prediction and a certified radius.

Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (2019), theorem 1 and
propositions 1 and 2. The smoothed classifier is g(x) = argmax_c P[f(x + noise) = c].

Pure functions in float64, without a model. Runs store the counts, so a certificate can be recomputed for another alpha.
"""

from dataclasses import dataclass
from typing import Any, Literal

import scipy

from smoothing.arguments import probability, whole_number
from smoothing.as_dict import AsDict
from smoothing.class_bounds import ClassBounds
from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.radii import least_samples
from smoothing.rounding import up

ABSTAIN = -1


@dataclass(frozen=True)
class ClassificationCertificate(AsDict):
    """The statement: g(x') = `prediction` for every x' within `radius` of x, for all of them at once.

    It holds with probability at least 1 - failure_probability over the samples at x. A sample has no class if its
    scores have no largest one, because they are NaN or infinite.

    Attributes:
        prediction: class A; -1 if abstained.
        radius: certified radius, in the noise's threat norm and the units of x; 0 if not certified.
        n_a: number of the n estimation samples in class A, the class that the selection samples chose.
        n_b: the largest count of another class.
        n: number of estimation samples; 0 if none were drawn.
        p_lower: lower confidence bound on the probability of class A.
        status: "certified"; "abstained" (the radius is not positive, or no selection sample has a class); or
            "misclassified" (the guess is not the label, so estimation was skipped: the example could not have counted
            as correct).
        reason: why not certified, with the share of samples that have no class; empty if certified.
        n0: number of selection samples.
        failure_probability: alpha if certified; 0 if nothing is claimed.
        guess: class A, certified or not; -1 if no selection sample has a class.
        p_upper: upper confidence bound on the probability of every other class; 1 - p_lower where only class A is
            bounded.
        classes: number of classes that the bounds are about; 0 if nothing was estimated.
    """

    prediction: int
    radius: float
    n_a: int
    n_b: int
    n: int
    p_lower: float
    status: Literal["certified", "abstained", "misclassified"]
    reason: str
    n0: int
    failure_probability: float
    guess: int
    p_upper: float
    classes: int


@dataclass(frozen=True)
class Prediction(AsDict):
    """The statement: g(x) = `prediction`, with probability at least 1 - failure_probability over the samples.

    Attributes:
        prediction: the class; -1 if abstained.
        n_a: the largest class count among n samples.
        n_b: the second largest class count.
        n: number of samples.
        p_value: of the two-sided test of the hypothesis that both classes are equally probable.
        status: "predicted" or "abstained" (p_value > alpha).
        reason: why abstained; empty otherwise.
        failure_probability: alpha if predicted; 0 if nothing is claimed.
    """

    prediction: int
    n_a: int
    n_b: int
    n: int
    p_value: float
    status: Literal["predicted", "abstained"]
    reason: str
    failure_probability: float


def certificate(
    guess: int,
    n_a: int,
    n_b: int,
    n: int,
    n0: int,
    noise: Noise,
    bounds: ClassBounds,
    classes: int,
    of_no_class: int = 0,
    u: float = 1.0,
) -> ClassificationCertificate:
    """The certificate that the counts give (Cohen et al. 2019, Certify, and proposition 2).

    p_lower <= p_A is Clopper and Pearson's confidence bound from n_a successes in n trials, and p_upper >= p_B, for
    every other class B. The certified radius is `noise.radius(p_lower, p_upper)`, for Gaussian noise
    R = sigma / 2 (Phi^-1(p_lower) - Phi^-1(p_upper)) (theorem 1). In the paper's Certify p_upper = 1 - p_lower, which
    makes it sigma Phi^-1(p_lower). If the radius is not positive, it abstains.

    Args:
        guess: class A, chosen by the n0 selection samples alone.
        n_a: its count among n fresh samples.
        n_b: the largest count of another class among them.
        n: number of fresh samples, at least 1.
        n0: number of selection samples.
        noise: the smoothing distribution.
        bounds: how the probabilities are bounded; its alpha is the probability that the certificate is false.
        classes: number of classes that f distinguishes.
        of_no_class: number of the n samples that have no class.
        u: the uniform number of bound=randomised (`randomised.uniform_number`).

    Raises:
        SettingError: n or a count is out of range.

    Examples:
        >>> from smoothing import Gaussian
        >>> counts = {"guess": 3, "n_a": 600, "n_b": 50, "n": 1000, "n0": 100, "classes": 10}
        >>> c = certificate(**counts, noise=Gaussian(sigma=0.5), bounds=ClassBounds(alpha=0.001))
        >>> c.prediction, round(c.p_lower, 4), round(c.radius, 4)
        (3, 0.5511, 0.0642)
        >>> c = certificate(**counts, noise=Gaussian(0.5), bounds=ClassBounds(alpha=0.001, runner_up="bounded"))
        >>> c.prediction, round(c.p_upper, 4), round(c.radius, 4)
        (3, 0.082, 0.3781)
        >>> c = certificate(**counts | {"n_a": 450}, noise=Gaussian(sigma=0.5), bounds=ClassBounds(alpha=0.001))
        >>> c.status, c.reason
        ('abstained', 'p_lower = 0.4014 <= 1/2')
    """
    p_lower, p_upper = bounds.at(n_a, n_b, n, classes, u)
    upper = p_upper if bounds.levels(classes)[1] else None
    return certificate_at(p_lower, upper, guess, n_a, n_b, n, n0, noise, bounds.alpha, classes, of_no_class)


def certificate_at(
    p_lower: float,
    p_upper: float | None,
    guess: int,
    n_a: int,
    n_b: int,
    n: int,
    n0: int,
    noise: Noise,
    alpha: float,
    classes: int,
    of_no_class: int = 0,
) -> ClassificationCertificate:
    """The certificate for given bounds: p_lower on class A, and p_upper on every other one; None: 1 - p_lower.

    They must hold together with probability at least 1 - alpha. Other arguments: `certificate`.

    Examples:
        >>> from smoothing import Gaussian
        >>> counts = {"guess": 3, "n_a": 990, "n_b": 8, "n": 1000, "n0": 100, "classes": 10}
        >>> round(certificate_at(0.97, None, **counts, noise=Gaussian(sigma=0.5), alpha=0.001).radius, 4)
        0.9404
    """
    radius = noise.radius(p_lower, p_upper)
    certified = radius > 0
    reason = ""
    if not certified:
        other = "1/2" if p_upper is None else f"p_upper = {p_upper:.4f}"
        relation = "<=" if p_lower <= (0.5 if p_upper is None else p_upper) else "is too close to"
        reason = f"p_lower = {p_lower:.4f} {relation} {other}{_broken(of_no_class, n)}"
    return ClassificationCertificate(
        prediction=guess if certified else ABSTAIN,
        radius=radius,
        n_a=n_a,
        n_b=n_b,
        n=n,
        p_lower=p_lower,
        status="certified" if certified else "abstained",
        reason=reason,
        n0=n0,
        failure_probability=alpha if certified else 0.0,
        guess=guess,
        p_upper=min(1.0, up(1 - p_lower)) if p_upper is None else p_upper,
        classes=classes,
    )


def left_out(guess: int, votes: int, n0: int) -> ClassificationCertificate:
    """The result for an example that was skipped after selection, because it could not have counted as correct.

    Args:
        guess: the class with the most votes.
        votes: number of the n0 samples that have a class.
        n0: number of selection samples.

    Examples:
        >>> left_out(guess=3, votes=100, n0=100).status
        'misclassified'
    """
    selected = guess if votes else ABSTAIN
    not_estimated: dict[str, Any] = dict.fromkeys(("n_a", "n_b", "n", "classes"), 0)
    not_estimated |= dict.fromkeys(("radius", "p_lower", "p_upper", "failure_probability"), 0.0)
    return ClassificationCertificate(
        prediction=selected,
        guess=selected,
        status="misclassified" if votes else "abstained",
        reason="selection guessed another class" if votes else f"no selection sample is of any class{_broken(n0, n0)}",
        n0=n0,
        **not_estimated,
    )


def prediction(top: int, n_a: int, n_b: int, n: int, alpha: float, of_no_class: int = 0) -> Prediction:
    """The prediction that the counts give (Cohen et al. 2019, Predict, and proposition 1; Hung and Fithian 2019).

    It returns the class of the largest count if the two-sided binomial test rejects n_a ~ Bin(n_a + n_b, 1/2) at level
    alpha. Otherwise it abstains.

    Args:
        top: the class with the largest count.
        n_a: that count.
        n_b: the second largest count.
        n: number of samples.
        alpha: level of the test, in (0, 1).
        of_no_class: number of the n samples that have no class.

    Raises:
        SettingError: alpha is not a probability strictly between 0 and 1.

    Examples:
        >>> prediction(top=3, n_a=80, n_b=20, n=100, alpha=0.001).prediction
        3
        >>> prediction(top=3, n_a=55, n_b=45, n=100, alpha=0.001).reason
        'p-value 0.368 > alpha = 0.001'
    """
    alpha = probability("certifier.alpha", alpha)
    p_value = float(scipy.stats.binomtest(n_a, n_a + n_b, 0.5).pvalue) if n_a + n_b else 1.0
    predicted = p_value <= alpha
    return Prediction(
        prediction=top if predicted else ABSTAIN,
        n_a=n_a,
        n_b=n_b,
        n=n,
        p_value=p_value,
        status="predicted" if predicted else "abstained",
        reason="" if predicted else f"p-value {p_value:.3g} > alpha = {alpha:g}{_broken(of_no_class, n)}",
        failure_probability=alpha if predicted else 0.0,
    )


def require_certifiable(
    n0: int, n: int, alpha: float, runner_up: str = "complement", bound: str = "exact"
) -> tuple[int, int, ClassBounds]:
    """The settings n0 and n as plain numbers, and the bounds.

    Raises:
        SettingError: one is out of range, or n samples can never certify (the message says how many can).

    Examples:
        >>> require_certifiable(100, 1e5, 0.001)
        (100, 100000, ClassBounds(alpha=0.001, runner_up='complement', bound='exact'))
        >>> require_certifiable(100, 5, 0.001)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.n: 5 samples can never certify at alpha=0.001; at least 10 are needed
    """
    n0, n = whole_number("certifier.n0", n0, 1), whole_number("certifier.n", n, 1)
    bounds = ClassBounds(probability("certifier.alpha", alpha), runner_up, bound)
    if n < (least := least_samples(bounds.level)):
        raise SettingError(
            f"certifier.n: {n} samples can never certify at alpha={bounds.alpha:g}; at least {least} are needed"
        )
    return n0, n, bounds


def require_predictable(n: int, alpha: float) -> tuple[int, float]:
    """The settings n and alpha as plain numbers.

    Raises:
        SettingError: one is out of range, or n samples always abstain (the message says how many are needed).

    Examples:
        >>> require_predictable(10, 0.001)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.n: 10 samples always abstain at alpha=0.001; at least 11 are needed
    """
    n, alpha = whole_number("certifier.n", n, 1), probability("certifier.alpha", alpha)
    least = n
    while prediction(0, least, 0, least, alpha).status == "abstained":
        least += 1
    if least > n:
        raise SettingError(f"certifier.n: {n} samples always abstain at alpha={alpha:g}; at least {least} are needed")
    return n, alpha


def _broken(of_no_class: int, n: int) -> str:
    return f"; {of_no_class / n:.1%} of the samples have scores that are NaN or infinite" if of_no_class else ""
