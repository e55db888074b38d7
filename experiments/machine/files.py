"""Write files completely or not at all, even under kill -9, a full disk or a power cut."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, writer: str = "") -> None:
    """Replace a file: write a temporary file, fsync it, rename it to `path`, fsync the folder.

    Args:
        path: the file; its folder must exist.
        content: the new content.
        writer: part of the temporary file's name, so that jobs may write the same file at the same time.

    Raises:
        OSError: no space or no permission. The old file is then unchanged, and the temporary file is removed.
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
    """Make the file names in a folder durable; fsync of a file does not do that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
