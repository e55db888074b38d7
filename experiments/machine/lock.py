"""One writer a file: two jobs on the same point must not interleave their rows."""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from smoothing import SmoothingError


class Lock:
    """Held by at most one process, by flock(2) on a file of its own that says who holds it.

    The kernel drops the lock with its process, so kill -9 leaves a file but no lock, and the next job goes on. On NFS
    Linux turns flock into a lock at the server, which holds between machines; a mount with `nolock` or
    `local_lock=flock` sees other processes of the same machine only, and Lustre wants `-o flock` (without it, taking
    the lock is an error, and that is said). Leaving takes the file away.

    Args:
        path: the lock's file; its folder is there.

    Raises:
        SmoothingError: another process holds it, or the file system cannot lock; the message says who, or what to do.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_and_lock(path)
        while not self._is_at_its_path():  # its holder left and took it away between our open and our lock
            self._file.close()
            self._file = _open_and_lock(path)
        try:
            self._file.truncate(0)
            self._file.write(json.dumps(_holder()).encode())
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let the next one in. The file goes first, so that nobody locks one that is about to go."""
        self._path.unlink(missing_ok=True)
        self._file.close()

    def _is_at_its_path(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _open_and_lock(path: Path) -> FileIO:
    file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held_by = _written(file.read())
        file.close()
        raise SmoothingError(
            f"{path}: another job is at work here ({held_by}). Wait for it or stop it; shard.count and shard.index "
            "split a run between jobs"
        ) from error
    except OSError as error:
        file.close()
        raise SmoothingError(
            f"{path}: this file system cannot lock ({error.strerror}); mount it with flock, or put results.root and "
            "checkpoints.root on another"
        ) from error
    return file


def _holder() -> dict[str, str | int]:
    environment = os.environ
    job = environment.get("SLURM_JOB_ID", "")
    if "SLURM_ARRAY_JOB_ID" in environment:
        job = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    started = datetime.now(UTC).isoformat(timespec="seconds")
    holder: dict[str, str | int] = {"host": socket.gethostname(), "pid": os.getpid(), "since": started}
    return holder | ({"Slurm job": job} if job else {})


def _written(content: bytes) -> str:
    """Who holds it, as "host a, pid 7, since ..."; that job may not have come to say so yet."""
    try:
        return ", ".join(f"{key} {value}" for key, value in json.loads(content).items())
    except ValueError:
        return "which has only just begun"
