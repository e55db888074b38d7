"""What the entry points share: one clear line for every error that we foresee, and an exit code."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from smoothing import SmoothingError

CONF = Path(__file__).parent.parent / "conf"


def refuse_null_groups() -> None:
    """Exit with a line where a whole group is set to null on the command line, at which Hydra prints a traceback."""
    for typed in sys.argv[1:]:
        group, _, value = typed.partition("=")
        if value == "null" and (CONF / group).is_dir():
            sys.exit(f"{sys.argv[0]}: {typed}: leave it out, or take a default away with '~{group}'")


def one_line_errors(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Turn a SmoothingError into its message on stderr and exit code 1.

    In a sweep the error is raised on, so that Hydra runs the other points and exits with 1 at the end.
    """

    @wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except SmoothingError as error:
            print(f"{sys.argv[0]}: {error}", file=sys.stderr)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            sys.exit(1)
        except KeyboardInterrupt:
            print(f"{sys.argv[0]}: stopped; the same command continues", file=sys.stderr)
            sys.exit(130)

    return wrapped
