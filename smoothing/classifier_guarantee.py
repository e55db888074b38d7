"""The guarantee for smoothed classifiers: from class counts to a prediction and a certified radius.

Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (2019), theorem 1 and
propositions 1 and 2. The smoothed classifier is g(x) = argmax_c P[f(x + noise) = c].

Pure functions in float64, without a model. Runs store the counts, so a certificate can be recomputed for another alpha.
"""

from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

from smoothing.arguments import probability, whole_number
from smoothing.as_dict import AsDict
from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.radii import least_samples
from smoothing.statistics import clopper_pearson_lower

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
        status: "certified"; "abstained" (p_lower <= 1/2, or no selection sample has a class); or "misclassified" (the
            guess is not the label, so estimation was skipped: the example could not have counted as correct).
        reason: why not certified, with the share of samples that have no class; empty if certified.
        n0: number of selection samples.
        failure_probability: alpha if certified; 0 if nothing is claimed.
        guess: class A, certified or not; -1 if no selection sample has a class.
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
    guess: int, n_a: int, n_b: int, n: int, n0: int, noise: Noise, alpha: float, of_no_class: int = 0
) -> ClassificationCertificate:
    """The certificate that the counts give (Cohen et al. 2019, Certify, and proposition 2).

    p_lower is Clopper and Pearson's lower confidence bound on P[f(x + noise) = A], from n_a successes in n trials. If
    p_lower > 1/2, the certified radius is `noise.radius(p_lower)`: R = sigma Phi^-1(p_lower) for Gaussian noise
    (theorem 1 with p_B = 1 - p_A). Otherwise it abstains.

    Args:
        guess: class A, chosen by the n0 selection samples alone.
        n_a: its count among n fresh samples.
        n_b: the largest count of another class among them.
        n: number of fresh samples, at least 1.
        n0: number of selection samples.
        noise: the smoothing distribution.
        alpha: probability that the certificate is false, in (0, 1).
        of_no_class: number of the n samples that have no class.

    Raises:
        SettingError: n, n_a or alpha is out of range.

    Examples:
        >>> from smoothing import Gaussian
        >>> c = certificate(guess=3, n_a=990, n_b=8, n=1000, n0=100, noise=Gaussian(sigma=0.5), alpha=0.001)
        >>> c.prediction, round(c.p_lower, 4), round(c.radius, 4)
        (3, 0.976, 0.989)
        >>> c = certificate(guess=3, n_a=520, n_b=450, n=1000, n0=100, noise=Gaussian(sigma=0.5), alpha=0.001)
        >>> c.status, c.reason
        ('abstained', 'p_lower = 0.4707 <= 1/2')
    """
    p_lower = clopper_pearson_lower(n_a, n, alpha)
    return certificate_at(p_lower, guess, n_a, n_b, n, n0, noise, alpha, of_no_class)


def certificate_at(
    p_lower: float,
    guess: int,
    n_a: int,
    n_b: int,
    n: int,
    n0: int,
    noise: Noise,
    alpha: float,
    of_no_class: int = 0,
) -> ClassificationCertificate:
    """The certificate for a given lower bound p_lower on the probability of class A.

    The bound must hold with probability at least 1 - alpha. Other arguments: `certificate`.

    Examples:
        >>> from smoothing import Gaussian
        >>> c = certificate_at(0.97, guess=3, n_a=990, n_b=8, n=1000, n0=100, noise=Gaussian(sigma=0.5), alpha=0.001)
        >>> round(c.radius, 4)  # sigma Phi^-1(0.97)
        0.9404
    """
    certified = p_lower > 0.5
    return ClassificationCertificate(
        prediction=guess if certified else ABSTAIN,
        radius=noise.radius(p_lower) if certified else 0.0,
        n_a=n_a,
        n_b=n_b,
        n=n,
        p_lower=p_lower,
        status="certified" if certified else "abstained",
        reason="" if certified else f"p_lower = {p_lower:.4f} <= 1/2{_broken(of_no_class, n)}",
        n0=n0,
        failure_probability=alpha if certified else 0.0,
        guess=guess,
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
    if not votes:
        reason = f"no selection sample is of any class{_broken(n0, n0)}"
        return ClassificationCertificate(ABSTAIN, 0.0, 0, 0, 0, 0.0, "abstained", reason, n0, 0.0, ABSTAIN)
    reason = "selection guessed another class"
    return ClassificationCertificate(guess, 0.0, 0, 0, 0, 0.0, "misclassified", reason, n0, 0.0, guess)


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
    p_value = float(binomtest(n_a, n_a + n_b, 0.5).pvalue) if n_a + n_b else 1.0
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


def require_certifiable(n0: int, n: int, alpha: float) -> tuple[int, int, float]:
    """The settings n0, n and alpha as plain numbers.

    Raises:
        SettingError: one is out of range, or n samples can never certify (the message says how many can).

    Examples:
        >>> require_certifiable(100, 1e5, 0.001)
        (100, 100000, 0.001)
        >>> require_certifiable(100, 5, 0.001)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.n: 5 samples can never certify at alpha=0.001; at least 10 are needed
    """
    n0, n = whole_number("certifier.n0", n0, 1), whole_number("certifier.n", n, 1)
    alpha = probability("certifier.alpha", alpha)
    if n < (least := least_samples(alpha)):
        raise SettingError(
            f"certifier.n: {n} samples can never certify at alpha={alpha:g}; at least {least} are needed"
        )
    return n0, n, alpha


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
    if prediction(0, n, 0, n, alpha).status == "abstained":
        least = n
        while prediction(0, least, 0, least, alpha).status == "abstained":
            least += 1
        raise SettingError(f"certifier.n: {n} samples always abstain at alpha={alpha:g}; at least {least} are needed")
    return n, alpha


def _broken(of_no_class: int, n: int) -> str:
    return f"; {of_no_class / n:.1%} of the samples have scores that are NaN or infinite" if of_no_class else ""
