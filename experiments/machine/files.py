"""Files that are there whole or not at all, also after kill -9, a full disk or a power cut."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, writer: str = "") -> None:
    """Replace a file: write beside it, fsync, rename over it, fsync the folder.

    Args:
        path: the file; its folder is there.
        content: all of it.
        writer: sets this job apart from others that may write the same file at the same time.

    Raises:
        OSError: no space, or no right to write. The file is then as it was, with nothing left beside it.
    """
    partial = path.with_name(f"{path.name}{writer}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a file's own fsync does not keep its name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
