"""The largest input radius that balanced center smoothing certifies: within an output radius, or without abstention."""

from collections.abc import Callable

from smoothing.arguments import instance
from smoothing.balanced_guarantee import BalancedSettings, answering, balanced_radius, require_checked, why_abstain
from smoothing.bisection import least_number
from smoothing.center_results import CenterDraws
from smoothing.errors import SettingError
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.statistics import clopper_pearson_lower

HALVINGS = 200  # of an interval of eps, at most; more than float64 has digits


def reach(draws: CenterDraws, eps_out: float, noise: Noise, metric: Metric, settings: BalancedSettings) -> float:
    """The largest input radius at which the certified output radius is at most eps_out; -1 if there is none.

    One statement at level alpha1 + alpha2, so eps_out must be fixed beforehand: it fixes the ball around the center,
    and the only random statement at x is the lower bound at level alpha2 on the mass of that ball.

    Args:
        draws: see `balanced_certificate`.
        eps_out: the wanted output radius, in the metric's units.
        noise: the noise of the draws.
        metric: the metric of the draws.
        settings: what to claim; bound="exact".

    Raises:
        SettingError: the draws were checked with another rho, the bound is not exact, or the settings are of plain
            center smoothing.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from smoothing import L2, Gaussian
        >>> draws = CenterDraws(torch.zeros(2), torch.zeros(2), 0.9, 10_000, 8600, np.linspace(0, 1, 1000), 0.1)
        >>> round(reach(draws, 1.5, Gaussian(sigma=0.5), L2(), BalancedSettings(q=0.84, rho=0.9)), 3)
        0.572
    """
    require_checked(draws, settings)
    if settings.bound != "exact":
        raise SettingError(f"certifier.bound: expected exact to compute the reach, got {settings.bound}")
    m = len(draws.distances)
    if m == 0 or why_abstain(draws.inside, draws.n, settings):
        return -1.0

    def too_far(rank: int) -> bool:
        return not balanced_radius(draws, float(draws.distances[rank - 1]), metric, settings.rho) <= eps_out  # or NaN

    allowed = least_number(too_far, 0, m + 1) - 1  # how many distances the wanted output radius allows
    mass = clopper_pearson_lower(allowed, m, settings.alpha2)
    return _largest(lambda eps: noise.mass(settings.rest, eps) <= mass)


def answers_within(draws: CenterDraws, noise: Noise, settings: BalancedSettings) -> float:
    """The largest input radius within which f_hat surely answers; -1 if there is none.

    One statement at level alpha3, as for an eps that was fixed beforehand (`answering`, the last paragraph).

    Args:
        draws: result of `BalancedCenterSmoothing.draw` with alpha3.
        noise: the noise of the draws.
        settings: what to claim, with alpha3.

    Raises:
        SettingError: there is no alpha3, or the draws do not say how many outputs lie within rho of each candidate.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from smoothing import Gaussian
        >>> held, zero = np.full(1000, 3950), torch.zeros(2)
        >>> draws = CenterDraws(zero, zero, 0.9, 4000, 3950, np.linspace(0, 1, 1000), 0.1, held, held_within=0.9)
        >>> round(answers_within(draws, Gaussian(sigma=0.5), BalancedSettings(q=0.5, rho=0.9, alpha3=0.005)), 3)
        0.861
    """
    instance("settings", settings, BalancedSettings, "BalancedSettings(q=0.84, rho=0.9, alpha3=0.005)")
    if settings.alpha3 is None or draws.held is None or draws.held_within != settings.rho:
        raise SettingError(
            f"draws: expected those of BalancedCenterSmoothing with alpha3 and rho={settings.rho:g}; draw again"
        )
    known, held = answering(draws.n, len(draws.held), settings), draws.held
    return _largest(lambda eps: known.surely(held, eps, noise))


def _largest(holds: Callable[[float], bool]) -> float:
    """The largest eps at which a condition holds that holds for all smaller eps; -1 if it does not hold for 0."""
    if not holds(0.0):
        return -1.0
    least, most = 0.0, 1.0
    while holds(most):
        least, most = most, 2 * most
    for _ in range(HALVINGS):
        if (middle := (least + most) / 2) in (least, most):
            break
        least, most = (middle, most) if holds(middle) else (least, middle)
    return least
