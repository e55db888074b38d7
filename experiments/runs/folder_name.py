"""Names of run folders, such as certify-sigma0.25-n1000-<hash of the identity>."""

import re
from pathlib import Path
from typing import Any

from experiments.config.identity import NOT_SETTINGS, identity_hash


def folder_of(experiment: Path, identity: dict[str, Any]) -> Path:
    """The folder that the identity's hash ends, whatever precedes it, or a new one like certify-sigma0.25-n1000-<hash>.

    Earlier versions of the suite wrote other names.
    """
    digest = identity_hash(identity)
    if existing := sorted(experiment.glob(f"*-{digest}")):
        return existing[0]
    certifier = identity["certifier"]
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", certifier["type"].rpartition(".")[2]).lower()
    given = identity.get("noise", {})
    noise = {key: value for key, value in given.items() if key not in NOT_SETTINGS}
    samples = {key: certifier[key] for key in ("n", "m") if key in certifier}
    parts = [f"{key}{value:.4g}" if isinstance(value, float) else f"{key}{value}" for key, value in noise.items()]
    without = given["type"].rpartition(".")[2].lower() if given else "clean"  # a noise that has no settings
    parts = [re.sub(r"[^\w.+-]+", "_", part) for part in parts or [without]]
    return experiment / "-".join([kind, *parts, *(f"{key}{value}" for key, value in samples.items()), digest])
