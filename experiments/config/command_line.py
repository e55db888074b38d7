"""Commands that the user can copy and run from the current folder, and the folders with configuration files."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

SUITE = Path(__file__).resolve().parents[2]
CONF = SUITE / "conf"
SCRIPT = re.compile(r"\bpython (certify|train|plot)\.py")
FOLDERS = ("dataset.root", "checkpoint", "results.root", "checkpoints.root")  # keys whose values are paths

CONFIG_OF = {"calibrate": "certify"}  # commands whose primary configuration has another name


def command(script: str, overrides: Iterable[str]) -> str:
    """A command line for a script, such as "certify", quoted for the shell.

    Paths of the script and of configuration folders are relative to the current folder where possible.
    """
    return shlex.join(["python", from_here(SUITE / f"{script}.py"), *options(), *overrides])


def runnable(line: str) -> str:
    """A command line, such as `python certify.py -m experiment=demo`, with paths that work from the current folder."""
    return SCRIPT.sub(lambda found: command(found[1], ()), line)


def options(hydra: Any = None) -> list[str]:
    """The options that say where configuration is read from: --config-dir, --config-path and --config-name.

    Args:
        hydra: Hydra's own configuration; None: that of the current job.
    """
    if hydra is None:
        if not HydraConfig.initialized():
            return []
        hydra = HydraConfig.get()
    folders = {source.provider: Path(source.path) for source in _files(hydra)}
    found = []
    if "main" in folders and folders["main"].resolve() != CONF:
        found += ["--config-path", str(folders["main"])]
    if hydra.job.config_name != CONFIG_OF.get(hydra.job.name, hydra.job.name):
        found += ["--config-name", hydra.job.config_name]
    if "command-line" in folders:
        found += ["--config-dir", from_here(folders["command-line"])]
    return [*found, *search_path(hydra)]


def key_of(override: str) -> str:
    """The key of an override.

    Examples:
        >>> [key_of(word) for word in ("noise.sigma=0.5", "++eps=[0.1]", "~metric", "certifier=exact")]
        ['noise.sigma', 'eps', 'metric', 'certifier']
    """
    return override.lstrip("+~").partition("=")[0]


def search_path(hydra: Any) -> list[str]:
    """The override of hydra.searchpath, if there is one."""
    return [word for word in hydra.overrides.hydra if key_of(word) == "hydra.searchpath"]


def config_folders() -> list[Path]:
    """The folders with configuration files: conf/, then the user's own. The first folder that has a file wins."""
    if not HydraConfig.initialized():
        return [CONF]
    return [Path(source.path) for source in _files(HydraConfig.get())]


def from_here(path: Path) -> str:
    """A path as typed in the current folder: relative if it lies below that folder, else absolute."""
    path, here = path.resolve(), Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _files(hydra: Any) -> list[Any]:
    return [source for source in hydra.runtime.config_sources if source.schema == "file"]
