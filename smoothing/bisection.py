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
        >>> [least_above(3, lambda k: k >= least, most=1000) for least in (8, 900, 1000, 1001)]
        [8, 900, 1000, None]
    """
    while low < most:
        high = min(2 * low, most)
        if will_do(high):
            return least_number(will_do, low, high)
        low = high
    return None
