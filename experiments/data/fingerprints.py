"""Hashes of a data set: of its images or files, or of names and sizes if there are too many files to read."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.data.base import Images


def hash_of_content(root: Path, paths: Iterable[Path]) -> str:
    """Hash of the files' relative paths and bytes. The folder may move, but its content must not change."""
    content = hashlib.sha256()
    for path in paths:
        content.update(os.fsencode(path.relative_to(root).as_posix()) + b"\0")
        try:
            content.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            content.update(b"unreadable")  # the reason is reported when it is read as an image
    return content.hexdigest()[:16]


def hash_of_images(images: Images) -> str:
    """Hash of images in memory and their labels."""
    content = hashlib.sha256(images.pixels.numpy().tobytes())
    content.update(images.labels.numpy().tobytes())
    return content.hexdigest()[:16]


def hash_of_names(names: Iterable[str], certified: Mapping[int, Path]) -> str:
    """Hash of names (of the classes and all files) and of the sizes of the certified files, given by index."""
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
