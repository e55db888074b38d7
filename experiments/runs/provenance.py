"""The record of what made a run: the suite's commit, and the versions of the packages."""

import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

NOT_CODE = tuple(f":(top,exclude){path}" for path in ("results", "figures", "docs", "*.md"))  # for git
PACKAGES = (
    *("torch", "torchvision", "numpy", "scipy", "hydra-core", "facenet-pytorch", "scikit-image", "scikit-learn"),
    *("lightning-fabric", "safetensors", "foolbox"),
)
OF_NETWORKS = ("timm", "transformers")  # recorded where they are imported
INSTALLED = tuple({sysconfig.get_paths()[name] for name in ("purelib", "platlib")})


def provenance(targets: Iterable[str] = ()) -> dict[str, Any]:
    """The suite's commit, whether its code or configuration differs from it, and the versions of the main packages.

    Committed results and drawings do not count: a resumed run changes its own.

    Args:
        targets: dotted names of the classes in use. The version of each installed package that brings one is added.
    """
    versions = {"python": platform.python_version()}
    for package in [*PACKAGES, *(name for name in OF_NETWORKS if name in sys.modules), *_installed(targets)]:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    status = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *NOT_CODE)
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else status != "",
        "versions": versions,
    }


def _installed(targets: Iterable[str]) -> list[str]:
    """The installed packages of these dotted names, without those of the suite and of files in a user's folder."""
    tops = {target.partition(".")[0] for target in targets} - {*PACKAGES, *OF_NETWORKS}
    files = {top: getattr(sys.modules.get(top), "__file__", None) for top in tops}
    found = {top for top, file in files.items() if file and any(Path(file).is_relative_to(path) for path in INSTALLED)}
    packages = packages_distributions() if found else {}  # it takes tenths of a second
    return sorted({name for top in found for name in packages.get(top, ())})


def _git(*arguments: str) -> str | None:
    try:
        here = Path(__file__).parent
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
