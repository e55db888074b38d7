"""What a run's results depend on, and its hash: two runs of one identity share a folder and continue each other."""

import hashlib
import json
from typing import Any

from experiments.config.settings import Group, Settings
from experiments.config.user_code import code_hash, file_hashes, is_suites

GROUPS = ("dataset", "model", "noise", "certifier", "metric")
# Where data lies is not what it is, nor do the machines that train decide what is trained.
# A noise's grid is none of its training; a run's identity has it beside the groups.
NOT_IDENTITY = ("root", "download", "unreadable", "devices", "nodes", "workers", "grid")
# Options that came later, at what was done before: they leave a run's hash as it was.
UNSAID = (("center", "best"), ("size", None), ("precision", "32-true"), ("precision", "auto"))  # precision: a trainer's
NOT_SETTINGS = ("type", "code", "files")  # of a group's description: not for a folder's name


def description(group: Group, code: bool = True) -> dict[str, Any]:
    """A group as part of an identity: the class's name and those arguments that results depend on.

    A class of the user's own goes by its whole dotted name, a hash of its source and the content of the files that its
    arguments name; one of the suite's by its name alone, as it does not change under a run without a commit.

    Args:
        group: a checked one.
        code: whether the source counts. Not for a model: its weights do, and another source is only said, see
            `RunFolder`.

    Raises:
        SettingError: the user's code is in no file.
    """
    kept = {key: value for key, value in group.arguments.items() if key not in NOT_IDENTITY}
    kept = {key: value for key, value in kept.items() if (key, value) not in UNSAID}
    users = not is_suites(group.target)
    own = {"type": group.target if users else group.located.__name__} | kept
    if users and (files := file_hashes(kept)):
        own["files"] = files
    if code and (source := code_hash(group.as_dict())):
        own["code"] = source
    return own


def identity(
    settings: Settings, fingerprint: str, training: dict[str, Any] | None = None, grid: int | None = None
) -> dict[str, Any]:
    """What a run's results depend on.

    Args:
        settings: of the run.
        fingerprint: the data set's.
        training: what the base function's weights came from (`Checkpoint.training`); None where it brought them.
        grid: that noisy inputs are rounded to (`Noise.grid`); None where they are not.
    """
    chosen = {name: getattr(settings, name) for name in GROUPS if getattr(settings, name)}
    found: dict[str, Any] = {name: description(group, code=name != "model") for name, group in chosen.items()}
    found["certifier"].pop("match", None)  # n and m are what it came to
    if fingerprint:
        found["dataset"]["fingerprint"] = fingerprint
    if training:
        found["training"] = training
    if grid:
        found["grid"] = grid
    compiled = {"compiled": True} if settings.compiled else {}
    return found | {"seed": settings.seed, "precision": settings.precision, **compiled}


def identity_hash(identity: dict[str, Any]) -> str:
    """Of a run's identity, or of what a checkpoint was trained as: the end of its folder's name."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
