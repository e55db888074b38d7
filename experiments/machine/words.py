"""Numbers in messages, with a noun in singular or plural."""

import re


def counted(count: int, noun: str) -> str:
    """A number of things: "1 thread", "2,000 samples".

    Examples:
        >>> counted(1, "thread"), counted(2000, "sample"), counted(0, "row")
        ('1 thread', '2,000 samples', '0 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def device_text(recorded: str) -> str:
    """A device as run.json records it, for readers.

    Examples:
        >>> device_text("cpu, 1 threads"), device_text("cpu, 11 threads")
        ('cpu, 1 thread', 'cpu, 11 threads')
    """
    return re.sub(r"\b1 threads", "1 thread", recorded)
