"""Outward rounding: a bound may be a little loose, never on the wrong side.

scipy's distribution functions are good to a few units in the 15th digit; the margin is a hundred times that.
"""

MARGIN = 1e-13


def up(value: float) -> float:
    """A number at least the true one, where `value` is good to a relative error of 1e-13. NaN stays NaN."""
    return value + abs(value) * MARGIN


def down(value: float) -> float:
    """A number at most the true one, where `value` is good to a relative error of 1e-13. NaN stays NaN."""
    return value - abs(value) * MARGIN
