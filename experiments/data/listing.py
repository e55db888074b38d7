"""Finds the image files and the class folders in a folder."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments.data.base import MissingDataError
from experiments.data.image_file import EXTENSIONS

# Names that operating systems and tools leave in folders, in addition to names that begin with a dot.
LEFT_BEHIND = ("__macosx", "lost+found", "@eadir", "#recycle", "$recycle.bin", "system volume information")
LEFT_BEHIND_FILES = ("thumbs.db", "desktop.ini")
NAMED = 3  # ignored files that the message names


class Listing:
    """Images in order of their paths. Other files are ignored, which is never an error; `report` names them once.

    Hidden files and folders, broken links and circular links are ignored. Other links are followed.

    Args:
        root: the data set's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left_out: list[Path] = []

    def images(self, folder: Path) -> list[Path]:
        """The images directly in a folder."""
        found = []
        for entry in self._entries(folder):
            if Path(entry.name).suffix.lower() in EXTENSIONS and _is(entry.is_file):
                found.append(folder / entry.name)
            else:
                self.left_out.append(folder / entry.name)
        return found

    def images_below(self, folder: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
        """The images in a folder and its subfolders, in no order. `above` identifies the parent folders visited."""
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            self.left_out.append(folder)
            return
        try:
            entries = self._entries(folder)
        except MissingDataError:
            self.left_out.append(folder)
            return
        for entry in entries:
            path = folder / entry.name
            if _is(entry.is_dir):
                yield from self.images_below(path, (*above, here))
            elif path.suffix.lower() in EXTENSIONS and _is(entry.is_file):
                yield path
            else:
                self.left_out.append(path)

    def classes(self, folder: Path, kept: str = "(?!)") -> dict[str, list[Path]]:
        """Class folders and the images in and below them, sorted as text like torchvision's; {} if there are none.

        Args:
            folder: the folder that contains the class folders.
            kept: a pattern for names that are classes even without images. Matches no name by default.

        Raises:
            MissingDataError: a folder cannot be read, so the labels of the others are unknown.
        """
        found = {}
        for entry in self._entries(folder) if folder.is_dir() else ():
            path = folder / entry.name
            if not _is(entry.is_dir) or path.suffix.lower() in EXTENSIONS:
                self.left_out.append(path)
            elif (images := sorted(self.images_below(path))) or re.fullmatch(kept, entry.name):
                found[entry.name] = images
            else:
                self.left_out.append(path)
        return found

    def report(self) -> None:
        """Print one line to stderr with the number of ignored files and folders and the names of the first."""
        if self.left_out:
            count, more = len(self.left_out), len(self.left_out) - NAMED
            names = ", ".join(path.relative_to(self.root).as_posix() for path in sorted(self.left_out)[:NAMED])
            rest = f" and {more} more" if more > 0 else ""
            kinds = "files of other kinds, hidden files or folders without images"
            print(f"'{self.root}': left out {count} {kinds}: {names}{rest}", file=sys.stderr)

    def _entries(self, folder: Path) -> list["os.DirEntry[str]"]:
        """A folder's entries that are not hidden, sorted by name. Raises MissingDataError if it cannot be read."""
        try:
            with os.scandir(folder) as opened:
                entries = sorted(opened, key=lambda entry: entry.name)
        except OSError as error:
            raise MissingDataError(f"{folder}: the folder cannot be read ({error.strerror})") from error
        self.left_out += [folder / entry.name for entry in entries if is_hidden(entry.name)]
        return [entry for entry in entries if not is_hidden(entry.name)]


def is_hidden(name: str) -> bool:
    """Whether a name is hidden or belongs to a system file, so that it is not the user's data."""
    return name.startswith(".") or name.lower() in (*LEFT_BEHIND, *LEFT_BEHIND_FILES)


def warn_of_numbers(names: list[str]) -> None:
    """Print one line to stderr if the names differ only in numbers, and sorting them as text differs from by number."""
    if len({re.sub("[0-9]+", "#", name) for name in names}) != 1:
        return

    def by_number(name: str) -> list[str | int]:
        return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", name)]

    first = next((k for k, (a, b) in enumerate(zip(names, sorted(names, key=by_number), strict=True)) if a != b), None)
    if first is not None:
        print(
            f"dataset: class folders are sorted as text, as torchvision does: {', '.join(names[: first + 2])}, ...; "
            f"label {first} is '{names[first]}'. Pad the numbers with zeros to sort them by number",
            file=sys.stderr,
        )


def shown(path: Path, root: Path) -> str:
    """A file's name relative to the data set's folder; bytes that are not valid UTF-8 are escaped."""
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a circular link, or a link into a folder that cannot be read
        return False
