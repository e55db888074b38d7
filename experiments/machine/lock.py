"""A lock that allows one writer per file, so that two jobs on the same point do not interleave their rows."""

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
    """A lock that at most one process holds: flock(2) on a lock file that names the holder.

    The kernel releases the lock when the process ends. After kill -9 the file remains but is not locked, so the next
    job can start. On NFS, Linux forwards flock to the server, so the lock works across machines. It works only within
    one machine if the mount has `nolock` or `local_lock=flock`. Lustre needs the mount option `-o flock`; without it,
    locking raises an error. Releasing the lock removes the file.

    Args:
        path: the lock file; its folder must exist.
        instead: what the user may do instead of waiting, for the message.

    Raises:
        SmoothingError: another process holds the lock, which the message names, or the file system cannot lock.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, instead: str = "") -> None:
        self._path = path
        self._file = _open_and_lock(path, instead)
        while not self._is_at_its_path():  # its holder removed it between our open and our lock
            self._file.close()
            self._file = _open_and_lock(path, instead)
        try:
            self._file.truncate(0)
            self._file.write(json.dumps(_holder()).encode())
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock. The file is removed first, so that nobody can lock a file that is about to be removed."""
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


def _open_and_lock(path: Path, instead: str) -> FileIO:
    file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held_by = _written(file.read())
        file.close()
        hint = f"; {instead}" if instead else ""
        raise SmoothingError(
            f"{path}: another job is working here ({held_by}). Wait for it or stop it{hint}"
        ) from error
    except OSError as error:
        file.close()
        raise SmoothingError(
            f"{path}: this file system cannot lock ({error.strerror}); mount it with flock, or set results.root and "
            "checkpoints.root to folders on another"
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
    """The holder, as "host a, pid 7, since ...". The file is empty if the holder has not written it yet."""
    try:
        return ", ".join(f"{key} {value}" for key, value in json.loads(content).items())
    except ValueError:
        return "it has just started"
