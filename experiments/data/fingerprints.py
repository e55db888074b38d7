"""Hashes of a data set's files: by their content, or by their names and sizes where they are too many to read."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def hash_of_content(root: Path, paths: Iterable[Path]) -> str:
    """Of the files' relative paths and bytes: the folder may move, its content may not change."""
    content = hashlib.sha256()
    for path in paths:
        content.update(os.fsencode(path.relative_to(root).as_posix()) + b"\0")
        try:
            content.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            content.update(b"unreadable")  # reading it as an image says why
    return content.hexdigest()[:16]


def hash_of_names(names: Iterable[str], certified: Mapping[int, Path]) -> str:
    """Of names (of classes and of all files), and of the sizes of those files that are certified, by their index."""
    content = hashlib.sha256()
    for name in names:
        content.update(os.fsencode(name) + b"\0")
    for index, path in certified.items():
        try:
            size: int | str = path.stat().st_size
        except OSError:
            size = "unreadable"
        content.update(f"{index} {size}\0".encode())
    return content.hexdigest()[:16]
