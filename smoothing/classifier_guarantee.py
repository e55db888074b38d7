"""Randomized smoothing's guarantee for classifiers: counts in, prediction and radius out. Pure, float64, no model.

Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (2019): theorem 1, propositions
1 and 2. What is stored are the counts, so a certificate can be read again with another alpha.
"""

from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.radii import least_samples
from smoothing.statistics import clopper_pearson_lower

ABSTAIN = -1


@dataclass(frozen=True)
class ClassificationCertificate:
    """g(x') = `prediction` for every x' within `radius` of x, all at once.

    It holds with probability at least 1 - failure_probability over the samples at x.

    Attributes:
        prediction: class A; -1 where abstained.
        radius: in the noise's threat norm; 0 where not certified.
        n_a: how many of the n estimation samples were of class A, the one that the selection samples guessed.
        n_b: the largest count of another class.
        n: estimation samples; 0 where none were drawn.
        p_lower: lower confidence bound on the probability of class A.
        status: certified; abstained (p_lower <= 1/2); misclassified (the guess was not the label, and estimation was
            left out because it could not have counted as correct).
        reason: why not certified; empty otherwise.
        n0: selection samples.
        failure_probability: alpha where certified; 0 where nothing is claimed.
        guess: class A, certified or not.
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
class Prediction:
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
    guess: int, n_a: int, n_b: int, n: int, n0: int, noise: Noise, alpha: float
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
    """
    return certificate_at(clopper_pearson_lower(n_a, n, alpha), guess, n_a, n_b, n, n0, noise, alpha)


def certificate_at(
    p_lower: float, guess: int, n_a: int, n_b: int, n: int, n0: int, noise: Noise, alpha: float
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
        reason="" if certified else f"p_lower = {p_lower:.4f} <= 1/2",
        n0=n0,
        failure_probability=alpha if certified else 0.0,
        guess=guess,
    )


def misclassified(guess: int, n0: int) -> ClassificationCertificate:
    """The row of an example that was left after selection: it cannot count as correct, whatever n more samples say."""
    reason = "selection guessed another class"
    return ClassificationCertificate(guess, 0.0, 0, 0, 0, 0.0, "misclassified", reason, n0, 0.0, guess)


def prediction(top: int, n_a: int, n_b: int, n: int, alpha: float) -> Prediction:
    """Read a prediction off the counts (Cohen et al., Predict; Hung and Fithian 2019).

    Args:
        top: the class of the largest count.
        n_a: that count.
        n_b: the second largest.
        n: samples.
        alpha: level of the two-sided test of n_a ~ Bin(n_a + n_b, 1/2).
    """
    if not 0 < alpha < 1:
        raise SettingError(f"certifier.alpha: expected a probability strictly between 0 and 1, got {alpha}")
    p_value = float(binomtest(n_a, n_a + n_b, 0.5).pvalue) if n_a + n_b else 1.0
    predicted = p_value <= alpha
    return Prediction(
        prediction=top if predicted else ABSTAIN,
        n_a=n_a,
        n_b=n_b,
        n=n,
        p_value=p_value,
        status="predicted" if predicted else "abstained",
        reason="" if predicted else f"p-value {p_value:.3g} > alpha = {alpha:g}",
        failure_probability=alpha if predicted else 0.0,
    )


def require_certifiable(n0: int, n: int, alpha: float) -> None:
    """Raise SettingError where even n of n samples of class A cannot certify, naming the n that would."""
    _require_samples(n0=n0, n=n)
    _require_level(alpha)
    if n < (least := least_samples(alpha)):
        raise SettingError(
            f"certifier.n: {n} samples can never certify at alpha={alpha:g}; at least {least} are needed"
        )


def require_predictable(n: int, alpha: float) -> None:
    """Raise SettingError where even n of n samples of one class abstain, naming the n that would do."""
    _require_samples(n=n)
    _require_level(alpha)
    if prediction(0, n, 0, n, alpha).status == "abstained":
        least = n
        while prediction(0, least, 0, least, alpha).status == "abstained":
            least += 1
        raise SettingError(f"certifier.n: {n} samples always abstain at alpha={alpha:g}; at least {least} are needed")


def _require_samples(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise SettingError(f"certifier.{name}: expected at least 1, got {count}")


def _require_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise SettingError(f"certifier.alpha: expected a probability strictly between 0 and 1, got {alpha}")
