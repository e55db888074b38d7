"""The certifier class of a finished run, from its run.json."""

import json
from pathlib import Path
from typing import Any

import smoothing
from experiments.config.targets import located
from smoothing import Certifier, SmoothingError


def certifier_class(record: dict[str, Any]) -> type[Certifier] | None:
    """The certifier's class; None if it cannot be imported, such as a user's class from another machine.

    Args:
        record: the content of run.json.
    """
    named = record["identity"]["certifier"].get("type", "")
    target = (record["config"].get("certifier") or {}).get("_target_", f"smoothing.{named}")
    try:
        found: Any = located(target)
    except SmoothingError:
        found = getattr(smoothing, named, None)
    return found if isinstance(found, type) and issubclass(found, Certifier) else None


def certifier_in(folder: Path) -> type[Certifier] | None:
    """The `certifier_class` of the run in a folder; None if the folder has no valid run.json."""
    for path in sorted(folder.glob("run*.json")):
        try:
            return certifier_class(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return None
