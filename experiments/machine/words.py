"""Numbers in messages, with a noun in singular or plural."""

import re
from decimal import ROUND_FLOOR, Decimal


def counted(count: int, noun: str) -> str:
    """A number of things: "1 thread", "2,000 samples".

    Examples:
        >>> counted(1, "thread"), counted(2000, "sample"), counted(0, "row")
        ('1 thread', '2,000 samples', '0 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def at_least(value: float) -> str:
    """A certified number with two decimals, rounded down: more would not be certified. 10^-9 more counts as no more.

    Examples:
        >>> at_least(0.6158), at_least(0.25), at_least(1 - 0.3)
        ('0.61', '0.25', '0.70')
    """
    return str(Decimal(value + 1e-9).quantize(Decimal("0.01"), ROUND_FLOOR))


def device_text(recorded: str) -> str:
    """A device as run.json records it, for readers.

    Examples:
        >>> device_text("cpu, 1 threads"), device_text("cpu, 11 threads")
        ('cpu, 1 thread', 'cpu, 11 threads')
    """
    return re.sub(r"\b1 threads", "1 thread", recorded)
