"""Stop on SIGTERM, which clusters send before they end a job: finish the current row or epoch, then exit with 143."""

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
    """Within this context, the first SIGTERM requests a stop and the second one kills the process.

    An existing handler of SIGTERM is kept. In a Slurm job, submitit ignores SIGTERM and requeues the job on the signal
    that announces the time limit or a preemption.
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
        _asked.clear()  # the request does not apply to later work of this process


def asked() -> bool:
    """Whether SIGTERM has arrived."""
    return _asked.is_set()


def stop_if_asked() -> None:
    """Raises SystemExit with code 143 if SIGTERM has arrived. Call it between rows: finished rows are kept."""
    if asked():
        stop()


def stop() -> None:
    """Raises SystemExit with code 143."""
    print(f"{Path(sys.argv[0]).name}: stopped by SIGTERM; run the same command to resume", file=sys.stderr)
    raise SystemExit(EXIT_CODE)


def _ask(number: int, frame: FrameType | None) -> None:
    _asked.set()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
