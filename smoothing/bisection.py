"""The least whole number with a property that all larger numbers share."""

from collections.abc import Callable

MOST = 2**40  # samples or candidates; if more were needed, no number is named


def least_number(will_do: Callable[[int], bool], low: int, high: int) -> int:
    """The least whole number above `low` that will do; `high`, which is not tried, if none below it will.

    Examples:
        >>> least_number(lambda k: k * k >= 50, low=0, high=100)
        8
    """
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if will_do(middle) else (middle, high)
    return high


def least_above(low: int, will_do: Callable[[int], bool], most: int) -> int | None:
    """The least whole number above `low`, >= 1, that will do. `low` itself will not. None if none up to `most` will.

    Examples:
        >>> least_above(3, lambda k: k * k >= 50, most=1000), least_above(3, lambda k: False, most=1000)
        (8, None)
    """
    high = 2 * low
    while not will_do(high):
        low, high = high, 2 * high
        if high > most:
            return None
    return least_number(will_do, low, high)
