"""Outward rounding: a bound may be a little loose, never on the wrong side.

scipy's normal distribution functions are good to a few units in the 15th digit; the margin is a hundred times that.
Its beta quantiles were seen off by 2.3e-12 of themselves (10^6 random counts of up to 10^7); their margin is forty
times that.
"""

MARGIN = 1e-13
BETA_MARGIN = 1e-10


def up(value: float, margin: float = MARGIN) -> float:
    """A number at least the true one, where `value` is good to a relative error of `margin`. NaN stays NaN."""
    return value + abs(value) * margin


def down(value: float, margin: float = MARGIN) -> float:
    """A number at most the true one, where `value` is good to a relative error of `margin`. NaN stays NaN."""
    return value - abs(value) * margin
