"""The text of --help: every key with its explanation, from the comments in conf/ and the docstrings of the classes."""

import inspect
import json
import re
import sys
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import smoothing
from experiments.config.command_line import CONF, config_folders
from experiments.config.experiment import file_of
from experiments.config.targets import located

LINE = re.compile(r"(?P<indent> *)(?P<group>- )?(?:override )?(?P<key>\w+):[^#]*(?:# (?P<comment>.*))?")
ARGUMENT = re.compile(r"    (\w+): (.*)")
OPTIONS = """Options:
  -m, --multirun        sweep over every combination of key=value,value
  --config-dir FOLDER   add your own choices, FOLDER/<group>/<choice>.yaml
  --cfg job             print the configuration instead of running
  --hydra-help          show the other options"""


def text(script: str, cfg: DictConfig) -> str:
    """The help of a script, such as "certify", for the groups chosen on the command line."""
    explained = explanations(script)
    parts = [str(sys.modules["__main__"].__doc__).strip(), OPTIONS, "Groups, group=choice, with their keys:"]
    groups = [key for key in explained if (CONF / key).is_dir() and key in HydraConfig.get().runtime.choices]
    for group in groups:
        chosen = HydraConfig.get().runtime.choices[group]
        files = sorted({file.stem for folder in config_folders() for file in (folder / group).glob("*.yaml")})
        lines = [
            f"  {group}={'null' if chosen is None else chosen}  {explained[group]}",
            f"      of {', '.join(files)}",
        ]
        parts.append("\n".join([*lines, *_arguments(group, chosen, OmegaConf.select(cfg, group))]))
    keys = [f"  {key}={_value(cfg, key)}  {words}" for key, words in explained.items() if key not in groups]
    return "\n\n".join([*parts, "Keys, key=value:\n" + "\n".join(keys)]) + "\n"


def explanations(script: str) -> dict[str, str]:
    """The groups and keys of a script's file in conf/, each with its comment. Nested keys are dotted: `results.root`.

    train.py has the keys of certify.py.
    """
    found, above = {}, ""
    for line in (CONF / f"{'plot' if script == 'plot' else 'certify'}.yaml").read_text().splitlines():
        match = LINE.fullmatch(line)
        if line.startswith("hydra:"):
            break
        if not match or match["key"] == "defaults" or "override" in line or "optional" in line:
            continue
        nested = match["indent"] and not match["group"]
        key = f"{above}.{match['key']}" if nested else match["key"]
        above = above if nested else match["key"]
        if match["comment"]:
            found[key] = match["comment"]
    return found


def documented(cls: type) -> dict[str, str]:
    """The arguments of a class and their explanations, from its docstring and those that it inherits or refers to."""
    found: dict[str, str] = {}
    for base in reversed(inspect.getmro(cls)[:-1]):
        for other in re.findall(r"(?:see|as for) `(\w+)`", base.__doc__ or ""):
            if other != base.__name__ and hasattr(smoothing, other):
                found |= _arguments_in(getattr(smoothing, other))
        found |= _arguments_in(base)
    return found


def _arguments_in(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(cls.__doc__ or "").partition("Args:\n")[2].splitlines():
        if line and not line.startswith("    "):
            break
        if match := ARGUMENT.fullmatch(line):
            name, found[match[1]] = match[1], match[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _of_null(group: str, choice: str | None) -> dict[str, str]:
    """Comments in a choice's file that say what null means in a run; the class says what None means to itself."""
    file = file_of(f"{group}/{choice}", tuple(config_folders()))
    matches = [LINE.fullmatch(line) for line in file.read_text().splitlines()] if file else []
    return {match["key"]: match["comment"] for match in matches if match and "null: " in (match["comment"] or "")}


def _arguments(group: str, choice: str | None, node: Any) -> list[str]:
    if not node or "_target_" not in node:
        return []
    target = located(node["_target_"])
    words = (documented(target) if inspect.isclass(target) else {}) | _of_null(group, choice)
    plain: Any = OmegaConf.to_container(node)
    return [
        f"      {group}.{k}={_written(v)}  {words.get(k, '')}".rstrip() for k, v in plain.items() if k != "_target_"
    ]


def _value(cfg: DictConfig, key: str) -> Any:
    """A key's value as it stands in the file, unresolved."""
    plain: Any = OmegaConf.to_container(cfg)
    for name in key.split("."):
        plain = plain[name]
    return _written(plain)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
