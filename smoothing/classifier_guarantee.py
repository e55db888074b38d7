"""Randomized smoothing's guarantee for classifiers: counts in, prediction and radius out. Pure, float64, no model.

Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (2019): theorem 1, propositions
1 and 2. What is stored are the counts, so a certificate can be read again with another alpha.
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
    """g(x') = `prediction` for every x' within `radius` of x, all at once.

    It holds with probability at least 1 - failure_probability over the samples at x.

    Attributes:
        prediction: class A; -1 where abstained.
        radius: in the noise's threat norm; 0 where not certified.
        n_a: how many of the n estimation samples were of class A, the one that the selection samples guessed.
        n_b: the largest count of another class.
        n: estimation samples; 0 where none were drawn.
        p_lower: lower confidence bound on the probability of class A.
        status: certified; abstained (p_lower <= 1/2, or no selection sample was of any class); misclassified (the guess
            was not the label, and estimation was left out because it could not have counted as correct).
        reason: why not certified, with the share of samples that were of no class; empty where certified.
        n0: selection samples.
        failure_probability: alpha where certified; 0 where nothing is claimed.
        guess: class A, certified or not; -1 where no selection sample was of any class.
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
    """g(x) = `prediction`, with probability at least 1 - failure_probability over the samples.

    Attributes:
        prediction: the class; -1 where abstained.
        n_a: the largest count of a class among n samples.
        n_b: the second largest.
        n: samples.
        p_value: of the two-sided test that both classes are equally probable.
        status: predicted, or abstained (p_value > alpha).
        reason: why abstained; empty otherwise.
        failure_probability: alpha where predicted; 0 where nothing is claimed.
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
    """Read a certificate off the counts (Cohen et al., Certify).

    Args:
        guess: class A, from the n0 selection samples alone.
        n_a: its count among n fresh samples.
        n_b: the largest count of another class among them.
        n: how many they were.
        n0: selection samples.
        noise: the smoothing distribution.
        alpha: one-sided level of the bound on the probability of class A.
        of_no_class: how many of the n had scores without a largest one.
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
    """The certificate of a lower bound on the probability of class A, true with probability at least 1 - alpha."""
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
    """The row of an example that was left after selection: it cannot count as correct, whatever n more samples say.

    Args:
        guess: the class of the most votes.
        votes: how many of the n0 samples were of any class.
        n0: selection samples.
    """
    if not votes:
        reason = f"no selection sample is of any class{_broken(n0, n0)}"
        return ClassificationCertificate(ABSTAIN, 0.0, 0, 0, 0, 0.0, "abstained", reason, n0, 0.0, ABSTAIN)
    reason = "selection guessed another class"
    return ClassificationCertificate(guess, 0.0, 0, 0, 0, 0.0, "misclassified", reason, n0, 0.0, guess)


def prediction(top: int, n_a: int, n_b: int, n: int, alpha: float, of_no_class: int = 0) -> Prediction:
    """Read a prediction off the counts (Cohen et al., Predict; Hung and Fithian 2019).

    Args:
        top: the class of the largest count.
        n_a: that count.
        n_b: the second largest.
        n: samples.
        alpha: level of the two-sided test of n_a ~ Bin(n_a + n_b, 1/2).
        of_no_class: how many of the n had scores without a largest one.
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
    """N0, n and alpha as plain numbers.

    Raises:
        SettingError: one is out of its range; or even n of n samples of class A cannot certify, and which n could.
    """
    n0, n = whole_number("certifier.n0", n0, 1), whole_number("certifier.n", n, 1)
    alpha = probability("certifier.alpha", alpha)
    if n < (least := least_samples(alpha)):
        raise SettingError(
            f"certifier.n: {n} samples can never certify at alpha={alpha:g}; at least {least} are needed"
        )
    return n0, n, alpha


def require_predictable(n: int, alpha: float) -> tuple[int, float]:
    """N and alpha as plain numbers. Raises SettingError as `require_certifiable`, where n of n samples abstain."""
    n, alpha = whole_number("certifier.n", n, 1), probability("certifier.alpha", alpha)
    if prediction(0, n, 0, n, alpha).status == "abstained":
        least = n
        while prediction(0, least, 0, least, alpha).status == "abstained":
            least += 1
        raise SettingError(f"certifier.n: {n} samples always abstain at alpha={alpha:g}; at least {least} are needed")
    return n, alpha


def _broken(of_no_class: int, n: int) -> str:
    return f"; {of_no_class / n:.1%} of the samples have scores that are NaN or infinite" if of_no_class else ""
