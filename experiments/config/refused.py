"""What is refused on the command line before Hydra reads it, because Hydra would ignore it or say something else."""

import difflib
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import ceil
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import RangeSweep
from hydra.errors import HydraException

from experiments.config.command_line import CONF
from experiments.config.schema import keys
from experiments.config.settings import Settings

LAUNCHER = "hydra/launcher="
OF_PLUGINS = ("submitit_slurm", "submitit_local", "joblib", "ray", "ray_aws", "rq")


def option_refused(word: str, known: Sequence[str]) -> str:
    """The message for an option that does not exist, such as --experiment=demo."""
    name, equals, value = word.partition("=")
    key = name.lstrip("-")
    if equals and key.isidentifier() and name not in known:
        return f"{word}: no such option; did you mean {key}={value}?"
    close = difflib.get_close_matches(name, known, n=1)
    return f"{word}: no such option" + (f"; did you mean {close[0]}?" if close else "")


def refused(given: Namespace, words: Sequence[str], script: str) -> str:
    """The message for overrides that cannot be meant as they are typed; empty if there are none.

    Args:
        given: the parsed options.
        words: the overrides.
        script: certify, train or plot.
    """
    if given.config_dir and not Path(given.config_dir).is_dir():
        return f"--config-dir: no folder '{given.config_dir}'"
    if given.config_path and "://" not in given.config_path:
        folder = Path(sys.argv[0]).resolve().parent / given.config_path  # as Hydra does
        if not folder.is_dir():
            return f"--config-path: no folder '{folder}'; to add files of your own to the suite's, use --config-dir"
    if given.config_dir and (file := _hidden(Path(given.config_dir))):
        return f"{file}: the suite has another file of this name, which would be read instead; rename yours"
    asks = given.cfg or given.help or given.hydra_help or given.info
    sweeps = given.multirun or "hydra.mode=MULTIRUN" in words
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if word.startswith(LAUNCHER) and _is_launcher(value, given.config_dir) and not sweeps and not asks:
            return f"{word}: needs -m; without it, the run would be here, in this process"
        if key == "experiment" and script == "plot":
            return f"plot.py has no experiment=; type source=results/{value}"
    return ""


def _hidden(folder: Path) -> Path | None:
    """The first file of the user's that Hydra would not read, because the suite has another with its name."""
    for ours in sorted(CONF.rglob("*.yaml")):
        own = folder / ours.relative_to(CONF)
        if own.is_file() and own.read_bytes() != ours.read_bytes():
            return own
    return None


def _is_launcher(name: str, config_dir: str | None) -> bool:
    """Whether it is one that starts other processes. Hydra explains a mistyped name."""
    folders = (CONF, *([Path(config_dir)] if config_dir else []))
    return name in OF_PLUGINS or any((folder / "hydra" / "launcher" / f"{name}.yaml").is_file() for folder in folders)


def with_round_values(word: str) -> str:
    """An override with a range of floats as a list of its values in decimals, as they are typed.

    range(0.1,0.4,0.1) becomes 0.1,0.2,0.3. Hydra adds binary numbers, so it has 0.30000000000000004, and 0.4 too.
    """
    try:
        found = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return word
    if not isinstance(found, RangeSweep) or found.shuffle or not found.step:
        return word
    start, stop, step = (Decimal(str(number)) for number in (found.start, found.stop, found.step))
    if all(number == int(number) for number in (start, stop, step)):
        return word
    values = [start + k * step for k in range(max(0, ceil((stop - start) / step)))]
    return f"{word.partition('=')[0]}={','.join(f'{value:f}' for value in values)}" if values else word


def removed_group(words: Iterable[str]) -> str:
    """The message for a group that is set to null, which Hydra cannot; empty if there is none."""
    for word in words:
        group, _, value = word.partition("=")
        if value == "null" and (CONF / group).is_dir():
            needed = (key := keys(Settings).get(group)) and not key.optional
            own = f"; for a class of your own, '~{group}' {group}._target_=my_module.MyClass" if needed else ""
            return f"{word}: leave it out, or remove a default with '~{group}'{own}"
    return ""
