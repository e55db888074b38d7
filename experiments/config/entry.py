"""Shared code of the entry points: one-line errors, exit codes, and the table at the end of a sweep."""

import errno
import gc
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
import omegaconf
from hydra import compose
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments.config.command_line import CONF, SUITE, search_path
from experiments.config.errors import explained
from experiments.config.left_out import sweep_without_others
from experiments.config.quoting import quoted
from experiments.config.refused import option_refused, refused, removed_group, with_round_values
from experiments.config.sweep import Outcome, report
from experiments.machine.stopping import sigterm_finishes_first
from smoothing import SettingError, SmoothingError
from smoothing.user_code import LIBRARIES, innermost

FULL, NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT), (errno.EROFS, errno.EACCES, errno.EPERM)
ROOTS = {"certify": "results.root", "train": "checkpoints.root", "plot": "figures.root"}  # what a script writes to
FOLDERS, SCRIPTS = ("experiments", "smoothing", "models", "hydra_plugins"), ("certify.py", "train.py", "plot.py")
OURS = (*(f"{SUITE / folder}{os.sep}" for folder in FOLDERS), *(str(SUITE / script) for script in SCRIPTS))
HYDRA = tuple(f"{Path(str(module.__file__)).parent}{os.sep}" for module in (hydra, omegaconf))
LONGEST = 600  # characters of a message that are printed
_outcomes: list[Outcome] = []  # outcomes of a sweep's jobs that ran in this process


def run(main: Callable[[], None], texts: Sequence[str] = ()) -> None:
    """Run an entry point and exit.

    Args:
        main: the entry point.
        texts: keys whose values are folders or labels, which need no quotes for Hydra (`quoted`).

    Exit codes: 0 success, 1 error, 2 unknown option, 130 Ctrl-C, 141 nobody reads stdout, 143 SIGTERM.
    """
    _outcomes.clear()
    gc.freeze()  # what is imported stays; looking for garbage in it takes half a second, most of it at exit
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a log file shows each line at once
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    typed, folders = _options_first(texts)
    try:
        main()
    except KeyboardInterrupt:
        _stopped()
    except Exception as error:
        _end_unread(error)
        say(error, debug="debug=true" in [word.lstrip("+").lower() for word in typed], typed=typed, folders=folders)
        sys.exit(1)
    if _outcomes:
        print(f"\n{report(_outcomes)}")
        sys.exit(1 if any(outcome.error for outcome in _outcomes) else 0)


def one_line_errors(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Outcome]:
    """Turn a job's error into one line on stderr and exit code 1; debug=true also prints the traceback.

    In a sweep an error is returned as the job's outcome, so that the other points still run.
    """

    @wraps(task)
    def wrapped(cfg: DictConfig) -> Outcome:
        sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
        overrides = list(HydraConfig.get().overrides.task) if sweep else []
        try:
            with sigterm_finishes_first():
                outcome = Outcome(overrides, [str(path) for path in task(cfg) or []])
        except KeyboardInterrupt:
            _stopped()
        except Exception as error:
            _end_unread(error)
            outcome = Outcome(overrides, error=say(error, debug=bool(cfg.get("debug"))))
            if not sweep:
                sys.exit(1)
        if sweep:
            _outcomes.append(outcome)
        return outcome

    return wrapped


def say(error: Exception, debug: bool = False, typed: Sequence[str] = (), folders: Sequence[Path] = ()) -> str:
    """Print an error as one line, and its traceback if `debug`. Returns the line."""
    line = line_of(error, typed, folders)
    print(f"{_script()}: {line}", file=sys.stderr)
    if debug:
        traceback.print_exception(error)
    return line


def line_of(error: Exception, typed: Sequence[str] = (), folders: Sequence[Path] = ()) -> str:
    """An error as one line: the message of the suite's own errors; the type, message and line of code of all others."""
    if isinstance(error, SmoothingError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in (*FULL, *NOT_WRITABLE):
        where = f"{error.filename}: " if error.filename else ""
        root = ROOTS.get(Path(_script()).stem, "folder")
        advice = "results so far are kept; run the same command to resume"
        advice = f"choose another {root}, or change the permissions" if error.errno in NOT_WRITABLE else advice
        return f"{where}{error.strerror}; {advice}"
    if isinstance(error, FileNotFoundError) and _in_mkdir(error):
        root = ROOTS.get(Path(_script()).stem, "folder")
        return f"{error.filename}: the folder cannot be made ({error.strerror}); choose another {root}"
    if isinstance(error, NotADirectoryError | FileExistsError) and error.filename:
        return f"{error.filename}: {error.strerror}; a file is where a folder must be, so choose another path"
    if line := explained(error, typed, folders):
        return line
    return f"{type(error).__name__}{_message(error)} ({_where(error)})"


def with_experiment(name: str) -> DictConfig:
    """The current job's configuration with another experiment instead of its own. Raises SettingError."""
    job = HydraConfig.get()
    typed = [each for each in job.overrides.task if not each.startswith("experiment=")]
    words = [*search_path(job), *typed, f"experiment={name}"]
    try:
        return compose(job.job.config_name, words)
    except HydraException as error:
        raise SettingError(f"also: {name}: {explained(error, words)}") from error


def _in_mkdir(error: Exception) -> bool:
    """Whether the suite could not make a folder, as in a file system that the kernel makes, such as /proc."""
    frames = traceback.extract_tb(error.__traceback__)
    above = [frame for frame in frames if frame.name != "mkdir"]
    return bool(frames and above) and frames[-1].name == "mkdir" and above[-1].filename.startswith(OURS)


def _message(error: Exception) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        return ": its message cannot be shown"
    if any(line.startswith("Traceback") for line in lines):  # raised in another process
        lines = lines[-1:]
    text = " ".join(" ".join(lines).split())
    return f": {text[:LONGEST]}{'...' if len(text) > LONGEST else ''}" if text else ""


def _where(error: Exception) -> str:
    """The innermost line of the user's own code, else of another package, else of the suite."""
    frame = innermost(error, (*OURS, *LIBRARIES)) or innermost(error, (*OURS, *HYDRA)) or innermost(error, ())
    return f"{frame.filename}:{frame.lineno} in {frame.name}" if frame else "no line known"


def _script() -> str:
    """The script's name, also in a Slurm job, which submitit starts."""
    return f"{HydraConfig.get().job.name}.py" if HydraConfig.initialized() else Path(sys.argv[0]).name


def _stopped() -> NoReturn:
    print(f"{_script()}: stopped; run the same command to resume", file=sys.stderr)
    sys.exit(130)


def _end_unread(error: Exception) -> None:
    """End without a word, as other programs do, if nobody reads stdout any more, as with `| head`."""
    if not isinstance(error, BrokenPipeError):
        return
    try:
        print()  # raises if it was stdout, and not a pipe of somebody else's
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _options_first(texts: Sequence[str]) -> tuple[list[str], tuple[Path, ...]]:
    """Check the command line's options and move them before the overrides.

    Returns:
        The overrides, `quoted`, and the folders with configuration files.
    """
    parser = get_args_parser()
    known = [name for action in parser._actions for name in action.option_strings]

    def stop(message: str, code: int = 2) -> NoReturn:
        print(f"{_script()}: {message}{'; --help lists all options' if code == 2 else ''}", file=sys.stderr)
        sys.exit(code)

    parser.allow_abbrev = False  # --experiment=demo is not --experimental-rerun=demo
    parser.error = stop  # type: ignore[method-assign]
    given, others = parser.parse_known_args()
    for word in others:
        if word.startswith("-"):
            stop(option_refused(word, known))
    words = [*given.overrides, *others]
    if message := refused(given, words, Path(sys.argv[0]).stem):
        stop(message)
    typed = [with_round_values(quoted(word, texts)) for word in words]
    folders = (CONF, *([Path(given.config_dir)] if given.config_dir else []))
    sys.argv = [word for word in sys.argv if word not in words] + typed
    if given.multirun:
        sys.argv += _other_sweep(typed, folders)
    if message := removed_group(typed):
        stop(message, code=1)
    return typed, folders


def _other_sweep(typed: Sequence[str], folders: tuple[Path, ...]) -> list[str]:
    """The overrides that replace the sweep of an experiment's file where it does not fit. Says on stderr what it drops.

    Args:
        typed: the overrides on the command line.
        folders: with configuration files.
    """
    script = Path(sys.argv[0]).stem
    if any(word.startswith("experiment=") and "," in word for word in typed):
        note = "several experiments: their sweeps are ignored; type the values, or run one at a time"
        print(f"{_script()}: {note}", file=sys.stderr)
        return ["hydra.sweeper.params=null"]  # else Hydra uses those of the default experiment
    if script not in ("certify", "train"):
        return []
    replaced, left = sweep_without_others(script, typed, folders)
    if left:
        note = f"not swept: {', '.join(left)} (set by the experiment's file for another choice)"
        print(f"{_script()}: {note}", file=sys.stderr)
    return replaced
