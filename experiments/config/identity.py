"""A run's identity: everything that its results depend on. Runs with the same identity share a folder and resume."""

import hashlib
import json
from typing import Any

from experiments.config.settings import Group, Settings
from experiments.config.user_code import code_hash, file_hashes, is_suites
from smoothing import SettingError

GROUPS = ("dataset", "model", "noise", "certifier", "metric")
# Arguments of the suite's classes that do not change the results: where data is stored, and how many processes train.
# Training does not use a noise's grid; a run's identity holds the grid under a key of its own.
NOT_IDENTITY = ("root", "download", "unreadable", "devices", "nodes", "workers", "grid")
# Options added later, with the values that describe earlier runs. They are left out, so that hashes do not change.
ADDED_LATER = (
    *(("center", "best"), ("size", None), ("precision", "32-true"), ("precision", "auto")),  # precision: a trainer's
    *(("runner_up", "complement"), ("Certify.bound", "exact"), ("BalancedCenterSmoothing.alpha3", None)),
    *(("ema_decay", 0.0), ("clip_norm", 0.0), ("DenoiserTrainer.mse_epochs", 0)),  # of a trainer
    ("FaceDetector.nothing", "zeros"),
)
NOT_SETTINGS = ("type", "code", "files")  # keys of a group's description that a folder's name omits


def description(group: Group, code: bool = True) -> dict[str, Any]:
    """A group as part of an identity: the name of its class and the arguments that results depend on.

    A class of the suite is described by its name alone, because run.json records the suite's commit. A user's own class
    is described by its full dotted name, a hash of its source, and hashes of the files that its arguments name. Of its
    arguments, only those in its `not_identity` are left out: an argument may have the name of one of the suite's.

    Args:
        group: a checked group.
        code: whether to include the hash of the source. False for models: their weights are part of the identity, and
            a changed source only prints a warning (`Contents`).

    Raises:
        SettingError: the user's code is not in a file, or its `not_identity` is a string.
    """
    users = not is_suites(group.target)
    left_out = getattr(group.located, "not_identity", ()) if users else NOT_IDENTITY
    if isinstance(left_out, str):  # whose letters would be names, too
        raise SettingError(f"{group.target}.not_identity: expected a tuple of names, such as ({left_out!r},)")
    kept = {key: value for key, value in group.arguments.items() if key not in left_out}
    name = group.target if users else group.located.__name__
    kept = {k: v for k, v in kept.items() if (k, v) not in ADDED_LATER and (f"{name}.{k}", v) not in ADDED_LATER}
    own = {"type": name} | kept
    if (users or getattr(group.located, "identified_by_files", False)) and (files := file_hashes(kept)):
        own["files"] = files
    if code and (source := code_hash(group.as_dict())):
        own["code"] = source
    return own


def certifier_identity(certifier: Group) -> dict[str, Any]:
    """The certifier as part of an identity, without the settings whose results are in other settings already."""
    found = description(certifier)
    for name in ("match", "calibration"):  # n and m, or q and rho
        found.pop(name, None)
    return found


def identity(
    settings: Settings, fingerprint: str, training: dict[str, Any] | None = None, grid: int | None = None
) -> dict[str, Any]:
    """The identity of a run: everything that its results depend on.

    Args:
        settings: the run's settings.
        fingerprint: the data set's fingerprint.
        training: the origin of the weights (`Checkpoint.training`); None if the model brings its own.
        grid: the grid that noisy inputs are rounded to (`Noise.grid`); None if they are not rounded.
    """
    chosen = {name: getattr(settings, name) for name in GROUPS if getattr(settings, name)}
    found: dict[str, Any] = {name: description(group, code=name != "model") for name, group in chosen.items()}
    found["certifier"] = certifier_identity(settings.certifier)
    if fingerprint:
        found["dataset"]["fingerprint"] = fingerprint
    if training:
        found["training"] = training
    if grid:
        found["grid"] = grid
    compiled = {"compiled": True} if settings.compiled else {}
    return found | {"seed": settings.seed, "precision": settings.precision, **compiled}


def identity_hash(identity: dict[str, Any]) -> str:
    """Hash of a run's identity, or of a checkpoint's `trained_as`; the folder's name ends with it."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]


def flattened(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as a flat one, with keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
