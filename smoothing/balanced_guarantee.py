"""The guarantee of balanced center smoothing: from stored draws and an input radius to a certified output radius. Ours.

Kumar and Goldstein (2021) let two balls meet that each hold mass of about 1/2 at x', and bound the second one's radius
by a multiple of R_hat. Here the second radius, rho, is fixed beforehand, and the masses only need to exceed 1 together.

**The smoothed function.** Fix q in (0, 1) and rho > 0. f_hat(x): choose a center z from n outputs. If a lower
confidence bound at level alpha1, from fresh outputs, on the mass of the ball B(z, rho) is at least q, answer z; else
ABSTAIN.

**Theorem.** Let z = f_hat(x), p0 > 1 - q, p = mass(p0, eps), and R_hat the order statistic of m fresh distances from z
that is at least the p-quantile, except with probability alpha2. Then, for every x' within eps of x at which f_hat does
not abstain, with probability at least 1 - alpha1 - alpha2: d(f_hat(x), f_hat(x')) <= gamma (R_hat + rho).

*Proof.* Except with probability alpha2, B(z, R_hat) holds mass at least p at x, so at least p0 > 1 - q at x'. Let z' =
f_hat(x'). Except with probability alpha1, B(z', rho) holds mass at least q at x', because z' was accepted there. The
masses exceed 1 together, so some output w lies in both balls, and d(z, z') <= gamma (d(z, w) + d(w, z')). QED

Nothing in the proof depends on how centers are chosen, or on the check at x. q = 1/2 asks for the paper's two masses. A
larger q reads R_hat at a smaller p: for Gaussian noise p = Phi(Phi^-1(1 - q) + eps / sigma). The price is a larger rho,
or more abstentions. q and rho must not depend on the certified examples (`experiments.calibrate` takes training data).

With alpha3, the certificate also says whether f_hat surely does not abstain within eps (`answering`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter

from smoothing.answering import Answering, require_possible
from smoothing.arguments import instance, number, probability
from smoothing.bisection import MOST, least_above, least_number
from smoothing.center_bounds import BOUNDS, distances_needed, upper_quantile
from smoothing.center_guarantee import SUM_MARGIN, two_balls
from smoothing.center_results import CenterDraws, OutputCertificate, Status, statement
from smoothing.errors import SettingError
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.rounding import MARGIN, up


@dataclass(frozen=True)
class BalancedSettings:
    """What is claimed.

    Args:
        q: mass that the ball around a center must hold, at x and at x' alike. In (0, 1).
        rho: radius of that ball, > 0, in the metric's units.
        alpha1: probability that the center at x' is accepted although its ball holds less than q. In (0, 1).
        alpha2: probability that R_hat is too small because of the draws at x. In (0, 1).
        bound: "exact" (binomial tails) or "paper" (Hoeffding's and DKW's inequalities).
        alpha3: probability that f_hat abstains at x' where it surely answers (`answering`). In (0, 1), or None: it is
            not said where f_hat answers.

    Raises:
        SettingError: an argument is out of range.

    Examples:
        >>> BalancedSettings(q=0.84, rho=0.1)
        BalancedSettings(q=0.84, rho=0.1, alpha1=0.005, alpha2=0.005, bound='exact', alpha3=None)
    """

    q: float
    rho: float
    alpha1: float = 0.005
    alpha2: float = 0.005
    bound: str = "exact"
    alpha3: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rho", number("certifier.rho", self.rho))  # of 64 bits, as the others
        for name in ("q", "alpha1", "alpha2", *(("alpha3",) if self.alpha3 is not None else ())):
            object.__setattr__(self, name, probability(f"certifier.{name}", getattr(self, name)))
        if not 0 < self.rho < inf:
            raise SettingError(f"certifier.rho: expected a positive distance, got {self.rho}")
        if self.bound not in BOUNDS:
            raise SettingError(f"certifier.bound: expected one of {', '.join(BOUNDS)}, got {self.bound}")

    @property
    def rest(self) -> float:
        """The least mass above 1 - q. With q it exceeds 1, also in exact arithmetic."""
        return min(1.0, nextafter(nextafter(1 - self.q, inf), inf))


def why_abstain(inside: int, n: int, settings: BalancedSettings) -> str:
    """Why a center is not accepted; empty if it is.

    Args:
        inside: number of n fresh outputs within rho of the center.
        n: number of fresh outputs.
        settings: q, alpha1 and the bound.

    Examples:
        >>> why_abstain(inside=8600, n=10_000, settings=BalancedSettings(q=0.84, rho=0.1))
        ''
        >>> why_abstain(inside=8400, n=10_000, settings=BalancedSettings(q=0.84, rho=0.1))
        'the lower bound on the mass of the ball of radius rho = 0.1 is 0.8303, less than q = 0.84'
    """
    lower = BOUNDS[settings.bound].lower(inside, n, settings.alpha1)
    if lower >= settings.q:
        return ""
    held = max(0.0, lower)
    ball = f"the ball of radius rho = {settings.rho:g}"
    return f"the lower bound on the mass of {ball} is {held:.4f}, less than q = {settings.q:g}"


def needed_inside(n: int, settings: BalancedSettings) -> int:
    """The least number of n fresh outputs in the ball with which a center is accepted; n + 1 if none suffices.

    Examples:
        >>> needed_inside(10_000, BalancedSettings(q=0.84, rho=0.1))
        8495
    """
    return least_number(lambda inside: not why_abstain(inside, n, settings), -1, n + 1)


def answering(n: int, candidates: int, settings: BalancedSettings) -> Answering:
    """When f_hat surely answers, if its center is one of so many candidates. The settings must have an alpha3."""
    assert settings.alpha3 is not None
    return Answering(n, candidates, needed_inside(n, settings), settings.alpha3)


def answers(draws: CenterDraws, eps: float, noise: Noise, settings: BalancedSettings) -> bool | None:
    """Whether f_hat surely answers at each x' within eps; None without alpha3, or if the draws do not say it."""
    if settings.alpha3 is None or draws.held is None or draws.held_within != settings.rho:
        return None
    return answering(draws.n, len(draws.held), settings).surely(draws.held, eps, noise)


def balanced_certificate(
    draws: CenterDraws, eps: float, noise: Noise, metric: Metric, settings: BalancedSettings
) -> OutputCertificate:
    """The certificate for input radius eps that the draws give; see the module.

    Args:
        draws: result of `BalancedCenterSmoothing.draw`, or of `rechecked`. Their `center_radius` is rho.
        eps: input radius, in the noise's threat norm and the units of x, >= 0.
        noise: the noise of the draws.
        metric: the metric of the draws.
        settings: what to claim. Fix q and rho before you look at the draws.

    Raises:
        SettingError: eps is negative or not a number; or the draws were checked with another rho.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from smoothing import L2, Gaussian
        >>> draws = CenterDraws(
        ...     base_output=torch.zeros(2),
        ...     center=torch.tensor([0.0, 0.1]),
        ...     center_radius=0.9,
        ...     n=10_000,
        ...     inside=8600,
        ...     distances=np.linspace(0, 1, 1000),
        ...     smoothing_error=0.1,
        ... )
        >>> settings = BalancedSettings(q=0.84, rho=0.9)
        >>> c = balanced_certificate(draws, eps=0.5, noise=Gaussian(sigma=0.5), metric=L2(), settings=settings)
        >>> c.status, c.order_statistic, round(c.distance_quantile, 4), round(c.eps_out, 4)  # R_hat + rho
        ('certified', 544, 0.5435, 1.4435)
    """
    if not 0 <= eps < inf:
        raise SettingError(f"eps: expected a finite number of at least 0, got {eps}")
    require_checked(draws, settings)
    rank, r_hat = 0, inf
    status: Status = "abstained"
    reason = why_abstain(draws.inside, draws.n, settings)
    if not reason and not len(draws.distances):
        reason = "no certification samples were drawn: the center was not accepted"
    if not reason:
        p = noise.mass(settings.rest, eps)
        rank, r_hat, reason = upper_quantile(draws.distances, p, settings.bound, settings.alpha2)
        status = "failed" if reason else "certified"
    return statement(
        draws,
        eps,
        metric,
        eps_out=balanced_radius(draws, r_hat, metric, settings.rho),
        r_hat=r_hat,
        rank=rank,
        status=status,
        reason=reason,
        failure_probability=settings.alpha1 + settings.alpha2,
        answers=answers(draws, eps, noise, settings),
        alpha3=settings.alpha3 or 0.0,
    )


def balanced_radius(draws: CenterDraws, r_hat: float, metric: Metric, rho: float) -> float:
    """The output radius gamma (R_hat + rho), rounded up for the errors of computed distances (docs/soundness.md, 5)."""
    least = up(metric.gamma * (r_hat + rho), max(MARGIN, SUM_MARGIN * draws.center.numel()))
    return max(least, two_balls(draws, r_hat, rho, metric)) if r_hat < inf else inf


def rechecked(draws: CenterDraws, rho: float) -> CenterDraws:
    """Draws of center smoothing, as those of an f_hat that checks B(z, rho) on the m certification outputs.

    The two statements about the m distances are not independent, and need not be: their levels are added up. So q and
    rho can be chosen after sampling, as long as they do not depend on the draws. Draws without distances stay
    abstentions. Nothing is known of whether this f_hat answers at x' (`CenterDraws.held` is of other samples).

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> draws = CenterDraws(torch.zeros(1), torch.zeros(1), 0.1, 100, 60, np.linspace(0, 1, 1001), 0.0)
        >>> found = rechecked(draws, rho=0.5)
        >>> found.center_radius, found.inside, found.n
        (0.5, 501, 1001)
    """
    if not len(draws.distances):
        return replace(draws, center_radius=rho, inside=0, held=None, held_within=None)
    inside, n = int((draws.distances <= rho).sum()), len(draws.distances)
    return replace(draws, center_radius=rho, inside=inside, n=n, held=None, held_within=None)


def require_feasible(n: int, m: int, eps: list[float], noise: Noise, settings: BalancedSettings) -> None:
    """Raise SettingError if n or m samples can never certify; the message says how many can.

    Examples:
        >>> from smoothing import Gaussian
        >>> settings = BalancedSettings(q=0.99, rho=1)
        >>> require_feasible(n=100, m=1000, eps=[0.5], noise=Gaussian(sigma=0.5), settings=settings)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.n: with 100 samples every example abstains at q=0.99; ...
    """
    if why_abstain(n, n, settings):
        least = least_above(n, lambda k: not why_abstain(k, k, settings), MOST)
        enough = f"expected at least {least}" if least else "no number would do"
        raise SettingError(f"certifier.n: with {n} samples every example abstains at q={settings.q:g}; {enough}")
    for radius in sorted(eps, reverse=True):
        p = noise.mass(settings.rest, radius)
        if BOUNDS[settings.bound].order_statistic(p, m, settings.alpha2) is None:
            raise SettingError(
                f"certifier.m: {m} samples can never certify eps={radius:g} under {noise} with q={settings.q:g}; "
                f"{distances_needed(p, settings.bound, settings.alpha2)}"
            )


def require_answering(
    n: int, candidates: int | None, center: str, eps: Sequence[float], noise: Noise, settings: BalancedSettings
) -> None:
    """Raise SettingError if alpha3 is set and no draws would show that f_hat answers within every eps."""
    if settings.alpha3 is None:
        return
    if candidates is None:
        raise SettingError(
            "certifier.candidates: certifier.alpha3 needs a number of candidates, such as 1000, got None"
        )
    if center != "medoid":
        raise SettingError(f"certifier.center: certifier.alpha3 needs medoid, got {center}")
    require_possible(lambda n, count: answering(n, count, settings), n, candidates, max(eps, default=0.0), noise)


def require_checked(draws: CenterDraws, settings: BalancedSettings) -> None:
    """Raise SettingError unless the draws were checked with the settings' rho."""
    instance("settings", settings, BalancedSettings, "BalancedSettings(q=0.84, rho=0.9)")
    if draws.center_radius != settings.rho:
        raise SettingError(
            f"certifier.rho: these draws were checked with {draws.center_radius:g}, got {settings.rho:g}; apply "
            "`rechecked` to them, or draw again"
        )
