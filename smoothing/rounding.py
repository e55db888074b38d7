"""Outward rounding: a rounded bound may be slightly loose, but it is never on the wrong side.

`MARGIN` is for SciPy's normal distribution functions, which are accurate to a few units in the 15th digit; the margin
is a hundred times that. `BETA_MARGIN` is for its beta quantiles. Their largest observed relative error is 2.3e-12 (10^6
random counts of up to 10^7); the margin is forty times that. At a few counts they are far off (`statistics._checked`),
so each bound's tail is computed too. `TAIL_MARGIN` is for that tail, whose largest observed relative error is 9e-12 for
up to 10^6 trials. For up to 10^10 it is 6e-8, at alpha above 1/2: `TAIL_MARGIN_OF_MANY` is for more than `MANY` trials.

`DISTANCE_MARGIN` is for the distance of two outputs, relative to the radius rho of a ball: it bounds four times the
error of a computed distance, which may differ in the last bits from call to call (docs/soundness.md, 2).

Both functions move one further float. That step covers the rounding of the margin itself, and numbers so small that
the margin vanishes beside them. 0, NaN and the infinities are returned unchanged.
"""

from math import inf, isfinite, nextafter

MARGIN = 1e-13
BETA_MARGIN = 1e-10
TAIL_MARGIN = 2e-11
TAIL_MARGIN_OF_MANY = 2e-7
MANY = 10**6
DISTANCE_MARGIN = 1e-9


def up(value: float, margin: float = MARGIN) -> float:
    """Upper bound on a true number that `value` approximates to a relative error of `margin`.

    Examples:
        >>> up(0.1) > 0.1
        True
        >>> up(0.0), up(float("inf"))
        (0.0, inf)
    """
    return nextafter(value + abs(value) * margin, inf) if value and isfinite(value) else value


def down(value: float, margin: float = MARGIN) -> float:
    """Lower bound on a true number that `value` approximates to a relative error of `margin`.

    Examples:
        >>> down(0.1) < 0.1
        True
    """
    return nextafter(value - abs(value) * margin, -inf) if value and isfinite(value) else value
