"""Errors of Hydra, OmegaConf and YAML, rewritten as one line that says what to type instead."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from experiments.config import settings
from experiments.config.check import suggestion
from experiments.config.command_line import config_folders
from experiments.config.experiment import file_of
from experiments.config.wording import worded

PRIMARY = ("certify", "train", "plot", "hydra/config")
ADVICE = ("To append to your", "See https:", "Config search path", "Set the environment variable")


def explained(error: Exception, typed: Sequence[str], folders: Sequence[Path] = ()) -> str | None:
    """The message for an error of Hydra, OmegaConf or YAML; None for any other error.

    Args:
        error: the error.
        typed: the overrides on the command line.
        folders: with configuration files; empty: those of the current job.
    """
    cause = error.__cause__ or error
    if isinstance(error, MissingConfigException):
        return _missing_file(error, folders)
    if isinstance(error, OverrideParseException):
        return _not_an_override(error, typed)
    if message := _experiments_file(str(error), typed, tuple(folders or config_folders())):
        return message
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
        return _unknown_key(cause)
    if isinstance(cause, OmegaConfBaseException):
        return f"{cause.full_key}: {worded(cause, str(cause.full_key))}" if cause.full_key else _first_lines(cause)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        advice = "; indent with spaces" if "\\t" in str(error.problem) else ""
        return f"{mark.name}, line {mark.line + 1}: {error.problem}{advice}" if mark else _first_lines(error)
    if isinstance(error, AssertionError) and "Unexpected type for root" in str(error):
        return _key_of_nothing(typed)
    return _other(error) if isinstance(error, HydraException) else None


def _experiments_file(text: str, typed: Sequence[str], folders: tuple[Path, ...]) -> str:
    """The message if an experiment's file lacks its first line or the word override, or has an unknown key or group.

    Empty for another error.
    """
    inside = re.match(r"In '(experiment/[^']*)': ", text)
    if inside and ("Key 'experiment' not in" in text or "@experiment." in text):
        file = file_of(inside[1], folders)
        empty = file is not None and not OmegaConf.load(file)
        wanted = "the file is empty" if empty else "its first line must be # @package _global_"
        return f"{inside[1]}.yaml: {wanted}"
    if inside and (found := re.search(r"Key '(.*)' not in '(\w+)'", text)):
        kind = getattr(settings, found[2], None)
        known = [field.name for field in fields(kind)] if is_dataclass(kind) else []
        return f"{inside[1]}.yaml: {found[1]}: no such key{suggestion(found[1], known)}"
    if inside and (found := re.search(r"Could not override '([\w/]+)'\.\s+No match", text)):
        known = sorted(path.name for folder in folders for path in folder.iterdir() if path.is_dir())
        return f"{inside[1]}.yaml: override /{found[1]}: no such group{suggestion(found[1], known)}"
    if found := re.match(r"In (\S+): Override .* is defined before '(?:experiment/)?([\w/]+)(?:@\w+)?: (.*)'\.", text):
        return f"{found[1]}.yaml: write '- override /{found[2]}: {found[3]}' in the defaults"
    if found := re.match(r"Multiple values for ([\w/]+)\. To override a value use 'override [\w/]+: (.*)'", text):
        name = next((word.partition("=")[2] for word in typed if word.startswith("experiment=")), "")
        where = f"experiment/{name}.yaml: " if name else ""
        return f"{where}{found[1]} has a choice already; write '- override /{found[1]}: {found[2]}' in the defaults"
    return ""


def _missing_file(error: MissingConfigException, folders: Sequence[Path]) -> str:
    file, asked_by = error.missing_cfg_file, re.match(r"In '(.*)': ", str(error))
    if not asked_by:
        return f"--config-name {file}: no file {file}.yaml in {', '.join(map(str, config_folders()))}"
    group, _, name = str(file).rpartition("/")
    if group.startswith("experiment/"):
        return f"{asked_by[1]}.yaml: write '- override /{group.removeprefix('experiment/')}: {name}' in the defaults"
    options = error.options or sorted(p.stem for folder in config_folders() for p in (folder / group).glob("*.yaml"))
    by = "" if asked_by[1] in PRIMARY else f", which {asked_by[1]}.yaml names"
    own = "" if len(folders) > 1 or group.startswith("hydra") else " (a file of your own needs --config-dir)"
    return f"{group}={name}: no file {group}/{name}.yaml{by}{own}{suggestion(name, options)}"


def _not_an_override(error: OverrideParseException, typed: Sequence[str]) -> str:
    parser = OverridesParser.create()
    for word in typed:
        try:
            parser.parse_override(word)
        except HydraException:
            if "=" not in word and not word.startswith("~"):
                return f"{word}: expected key=value"
            return (
                f"{word}: expected key=value; close brackets and quotes, and quote a value with special characters "
                """twice: 'key="a value"'"""
            )
    return _first_lines(error)


def _unknown_key(cause: OmegaConfBaseException) -> str:
    parent = cause.parent_node
    known = [str(key) for key in parent if key != "hydra"] if OmegaConf.is_dict(parent) else []
    key = str(cause.full_key)
    below, _, name = key.rpartition(".")
    if "/" in name:
        known = [f"{folder.parent.name}/{folder.name}" for folder in config_folders()[0].glob("*/*/")]
        return f"{key}: no such group{suggestion(name, known)}"
    if not below:  # sigma=0.5: noise.sigma
        full = {f"{group}.{leaf}": str(leaf) for group in known for leaf in _keys_of(parent, group)}
        exact = [path for path, leaf in full.items() if leaf == name]
        if exact:
            return f"{key}: no such key; did you mean {' or '.join(exact)}?"
        known += ["experiment"] if "certifier" in known else []  # not a key, but typed like one
    return f"{key}: no such key{suggestion(name, known, below)}"


def _keys_of(parent: object, group: str) -> Iterable[object]:
    node = parent._get_node(group)  # type: ignore[attr-defined]  # a group, without resolving interpolations
    return node if OmegaConf.is_dict(node) and not node._is_none() else ()


def _key_of_nothing(typed: Sequence[str]) -> str:
    dotted = [word for word in typed if "." in word.partition("=")[0]]
    groups = {word.lstrip("+").partition(".")[0] for word in dotted}
    absent = groups & {"noise", "metric", "trainer", "logger", "figure"}
    return f"{', '.join(sorted(absent)) or ', '.join(dotted)}: nothing is chosen, so it has no keys; choose one first"


def _other(error: HydraException) -> str:
    text = str(error)
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text):
        return f"{found[1]}: several values need -m, which sweeps over them; write a list as key=[value,value]"
    if found := re.match(r"Could not delete from config. '(.*)' does not exist", text):
        folders = [path.name for folder in config_folders() for path in folder.iterdir() if path.is_dir()]
        return f"~{found[1]}: there is no {found[1]}{suggestion(found[1], folders)}"
    return _first_lines(error)


def _first_lines(error: Exception) -> str:
    """An error's text on one line, without Hydra's advice."""
    kept = []
    for line in str(error).strip().splitlines():
        if line.startswith((*ADVICE, "    full_key", "    object_type", "    reference_type")):
            break
        kept.append(line.strip())
    return " ".join(kept)
