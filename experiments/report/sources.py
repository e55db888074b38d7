"""The folders of runs typed as source= or table=, and the labels of their runs."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.mathtext import MathTextParser

from smoothing import SettingError


@dataclass(frozen=True)
class Source:
    """A run folder, or a folder of runs.

    Attributes:
        label: the name of its runs in a figure or table.
        folder: the folder.
    """

    label: str
    folder: Path


def sources_of(typed: Any, labels: Any = None, key: str = "source") -> list[Source]:
    """The folders that a key names, with their labels. Without labels, each is named by its folder.

    Args:
        typed: a folder, a list of folders, or None.
        labels: a list with one for each folder, or None.
        key: the key, for messages.

    Raises:
        SettingError: a folder does not exist or occurs twice; or labels do not fit the folders.
    """
    words = [] if typed is None else typed if isinstance(typed, list) else [typed]
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise SettingError(f"{key}: expected a folder of runs, or a list of folders as [a, b], got {word!r}")
    folders = [Path(word).expanduser() for word in words]
    for folder in folders:
        if folder.is_file():
            raise SettingError(f"{key}: expected a folder of runs, and '{folder}' is a file; give its folder")
        if not folder.is_dir():
            raise SettingError(f"{key}: expected a folder of runs, and there is no folder '{folder}'")
    if twice := _twice([str(folder.resolve()) for folder in folders]):
        raise SettingError(f"{key}: the folder '{folders[twice[1]]}' occurs twice")
    if typed is not None and not folders:
        raise SettingError(f"{key}: expected a folder of runs, got an empty list")
    names = _names(folders) if labels is None else _checked_labels(labels, len(folders))
    return [Source(*each) for each in zip(names, folders, strict=True)]


def _checked_labels(given: Any, folders: int) -> list[str]:
    labels = [str(label) for label in given] if isinstance(given, list) else [str(given)]
    if not folders:
        raise SettingError("labels: expected also source='[folder, folder]', the runs that the labels name")
    if len(labels) != folders:
        raise SettingError(
            f"labels: expected {folders}, one for each folder of source=, got {len(labels)}: {', '.join(labels)}"
        )
    if twice := _twice(labels):
        raise SettingError(f"labels: '{labels[twice[0]]}' occurs twice; each folder of source= needs its own")
    for label in labels:
        if not label.strip():
            raise SettingError("labels: expected a name for each folder of source=, got an empty one")
        try:
            MathTextParser("path").parse(label)
        except ValueError as error:
            raise SettingError(
                f"labels: '{label}' holds a formula that cannot be read; correct it, or remove $"
            ) from error
    return labels


def _names(folders: list[Path]) -> list[str]:
    """The shortest names that tell folders apart. A run folder is named by its experiment if that is enough."""
    whole = [folder.resolve() for folder in folders]
    short = [folder.parent.name if list(folder.glob("run*.json")) else folder.name for folder in whole]
    several = Counter(short)
    longer = [f"{f.parent.name}/{f.name}" if several[name] > 1 else name for name, f in zip(short, whole, strict=True)]
    return [str(f) if longer.count(name) > 1 else name for name, f in zip(longer, folders, strict=True)]


def _twice(words: list[str]) -> tuple[int, int] | None:
    """The positions of the first word that occurs twice."""
    return next(((words.index(word), k) for k, word in enumerate(words) if words.index(word) < k), None)
