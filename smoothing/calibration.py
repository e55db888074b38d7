"""q and rho of balanced center smoothing: fixed beforehand, given as numbers or by a calibration on other data."""

from math import inf
from typing import Any

from smoothing.arguments import number, probability
from smoothing.errors import SettingError
from smoothing.noise import Noise

ADVICE = "python -m experiments.calibrate experiment=<name> certifier=balanced finds q and rho on training data"


def q_and_rho(q: float | None, rho: float | None) -> tuple[float, float]:
    """The settings q and rho as plain numbers.

    Raises:
        SettingError: one is missing or out of range; the message names the command that finds them.

    Examples:
        >>> q_and_rho(0.84, 1)
        (0.84, 1.0)
        >>> q_and_rho(0.84, None)
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.rho: expected a number fixed before the ...
    """
    for name, value in (("q", q), ("rho", rho)):
        if value is None:
            raise SettingError(
                f"certifier.{name}: expected a number fixed before the examples are certified, got none; {ADVICE}"
            )
    share, radius = probability("certifier.q", q), number("certifier.rho", rho)
    if not 0 < radius < inf:
        raise SettingError(f"certifier.rho: expected a positive distance, got {rho}")
    return share, radius


def calibrated(arguments: dict[str, Any], noise: Noise) -> tuple[dict[str, Any], str]:
    """A certifier's arguments, with q and rho of its calibration where they are None; see `Certifier.settled`.

    Args:
        arguments: with the keys q, rho and calibration, {noise: {"q": ..., "rho": ...}}.
        noise: the smoothing distribution, whose text is the key.

    Returns:
        The arguments, with this noise's entry alone left of the calibration, and a message; empty if nothing changed.

    Raises:
        SettingError: the calibration has no entry for this noise.

    Examples:
        >>> from smoothing import Gaussian
        >>> given = {"q": None, "rho": None, "calibration": {"Gaussian(sigma=0.5)": {"q": 0.84, "rho": 0.3}}}
        >>> calibrated(given, Gaussian(sigma=0.5))[1]
        'calibration: q=0.84 and rho=0.3 for Gaussian(sigma=0.5)'
    """
    calibration = arguments.get("calibration")
    missing = [name for name in ("q", "rho") if arguments.get(name) is None]
    if not calibration or not missing:
        return arguments, ""
    if (found := calibration.get(str(noise))) is None:
        raise SettingError(f"calibration: no entry for {noise}, only for {', '.join(map(str, calibration))}; {ADVICE}")
    own = arguments | {name: found[name] for name in missing} | {"calibration": {str(noise): dict(found)}}
    return own, f"calibration: q={own['q']:g} and rho={own['rho']:.6g} for {noise}"
