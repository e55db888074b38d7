"""What goes wrong in a user's model, metric or noise is shown as itself, in one line that says where."""

import os
import site
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from smoothing.errors import BaseFunctionError, SmoothingError

OURS = str(Path(__file__).parent) + os.sep
LIBRARIES = tuple(
    f"{place}{os.sep}"
    for place in (*site.getsitepackages(), sysconfig.get_path("stdlib"), str(Path(torch.__file__).parent))
)


@contextmanager
def shown(who: str, always: bool = True) -> Iterator[None]:
    """Raise what is raised inside as a BaseFunctionError, chained: its type, its message, and file and line.

    Args:
        who: whose code runs inside, such as "base function".
        always: as such even if no line of a user's code is to be found, which means that the fault may be ours.
    """
    try:
        yield
    except SmoothingError:
        raise
    except Exception as error:
        where = _place(error)
        if where is None and not always:
            raise
        message = " ".join(str(error).split()) or "no message"
        raise BaseFunctionError(f"{who}: {type(error).__name__}: {message}{where or ''}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, is a lack of memory on the device or off it."""
    cause = error.__cause__ or error
    text = str(cause)
    return isinstance(cause, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text


def _place(error: Exception) -> str | None:
    """Where the innermost line of code that is neither ours nor a library's raised, or led to it."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        ours_or_library = frame.filename.startswith((OURS, *LIBRARIES))
        if not ours_or_library and not frame.filename.startswith("<"):
            return f" ({frame.filename}:{frame.lineno}, in {frame.name})"
    return None
