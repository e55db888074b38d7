"""What the entry points share: one clear line for every error that we foresee, and an exit code."""

import errno
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments.stopping import sigterm_finishes_first
from smoothing import SettingError, SmoothingError

CONF = Path(__file__).parent.parent / "conf"
NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def refuse_null_groups() -> None:
    """Exit with a line where a whole group is set to null on the command line, at which Hydra prints a traceback."""
    for typed in sys.argv[1:]:
        group, _, value = typed.partition("=")
        if value == "null" and (CONF / group).is_dir():
            sys.exit(f"{sys.argv[0]}: {typed}: leave it out, or take a default away with '~{group}'")


def one_line_errors(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Turn a SmoothingError, a full disk or a forbidden one into a line on stderr and exit code 1; SIGTERM into 143.

    In a sweep the error is raised on, so that Hydra runs the other points and exits with 1 at the end.
    """

    @wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            with sigterm_finishes_first():
                task(cfg)
        except (SmoothingError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in NOT_WRITABLE:
                raise
            print(f"{sys.argv[0]}: {_line(error)}", file=sys.stderr)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            sys.exit(1)
        except KeyboardInterrupt:
            print(f"{sys.argv[0]}: stopped; the same command continues", file=sys.stderr)
            sys.exit(130)

    return wrapped


def with_experiment(name: str) -> DictConfig:
    """The configuration of the job under way, with another experiment in the place of its own. Raises SettingError."""
    typed = [each for each in HydraConfig.get().overrides.task if not each.startswith("experiment=")]
    try:
        return compose(HydraConfig.get().job.config_name, [*typed, f"experiment={name}"])
    except HydraException as error:
        raise SettingError(f"also: {name}: {str(error).splitlines()[0]}") from error


def _line(error: SmoothingError | OSError) -> str:
    if isinstance(error, SmoothingError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; what was written stays, and the same command continues"
