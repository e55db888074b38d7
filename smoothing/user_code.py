"""Errors in a user's model, metric or noise, reported in one line with file and line number."""

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
ABOUT_SHAPES = ("shape", "size", "dimension", "channels")  # words in an error's message
LIKE_BATCHES = (3, 5)  # dimensions of a batch if x was a batch of vectors or of images
ABOUT_DTYPES = ("dtype", "input type", "scalar type")


@contextmanager
def shown(who: str, always: bool = True, given: tuple[int, ...] | None = None) -> Iterator[None]:
    """Context manager: turn an error raised inside into a BaseFunctionError with its type, message, file and line.

    Args:
        who: name of the user's code that runs inside, such as "base function".
        always: do so even if no line of user code is found. Otherwise such an error, which may be a fault of this
            library, is raised unchanged.
        given: shape of the batch that it was given. An error about shapes says so, one about dtypes what to do.
    """
    try:
        yield
    except SmoothingError:
        raise
    except Exception as error:
        frame = innermost(error, (OURS, *LIBRARIES))
        if frame is None and not always:
            raise
        message = " ".join(str(error).split()) or "no message"
        where = f" ({frame.filename}:{frame.lineno}, in {frame.name})" if frame else ""
        hint = _hint(given, message.lower()) if given else ""
        raise BaseFunctionError(f"{who}: {type(error).__name__}: {message}{where}{hint}") from error


def _hint(given: tuple[int, ...], message: str) -> str:
    if any(word in message for word in ABOUT_DTYPES):
        return "; pass x in the dtype of f's weights, such as x.half(), or use model.float()"
    if any(word in message for word in ABOUT_SHAPES):
        many = "; x is one input, and for many inputs there is certify_all" if len(given) in LIKE_BATCHES else ""
        return f"; it was given {given[0]} inputs {given[1:]}{many}"
    return ""


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message; the name of its type if it has none.

    Examples:
        >>> first_line(RuntimeError("not a file of weights\nof torch")), first_line(EOFError())
        ('not a file of weights', 'EOFError')
    """
    return str(error).strip().partition("\n")[0].rstrip() or type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or its cause, says that memory ran out, on the device or on the host."""
    cause = error.__cause__ or error
    text = str(cause)
    return isinstance(cause, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text


def innermost(error: BaseException, besides: tuple[str, ...]) -> traceback.FrameSummary | None:
    """The innermost line that raised an error, or led to it, outside of some files; None where there is none.

    Args:
        error: raised.
        besides: how the paths of those files begin.
    """
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame for frame in frames if not frame.filename.startswith(("<", *besides))), None)
