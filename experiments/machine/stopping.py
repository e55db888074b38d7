"""SIGTERM, as from a cluster that wants its machine back: finish the row or the epoch in hand, then exit with 143."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM
_asked = threading.Event()


@contextmanager
def sigterm_finishes_first() -> Iterator[None]:
    """While inside, a first SIGTERM only asks to stop; a second one kills.

    Where somebody handles SIGTERM already, it stays theirs: submitit ignores it in a Slurm job and answers the signal
    that announces the time limit or a preemption by queueing the job again.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    _asked.clear()
    signal.signal(signal.SIGTERM, _ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _asked.clear()  # what runs next in this process was not asked to stop


def asked() -> bool:
    """Whether SIGTERM has come."""
    return _asked.is_set()


def stop_if_asked() -> None:
    """Between two rows: raises SystemExit with 143 where SIGTERM has come. What was written stays."""
    if asked():
        stop()


def stop() -> None:
    """Raises SystemExit with 143."""
    print(f"{Path(sys.argv[0]).name}: stopped by SIGTERM; run the same command to resume", file=sys.stderr)
    raise SystemExit(EXIT_CODE)


def _ask(number: int, frame: FrameType | None) -> None:
    _asked.set()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
