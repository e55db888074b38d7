"""The committed results: what git tracks in results/. A user's own runs there are not among them."""

import subprocess
from pathlib import Path


def committed_files(folder: Path) -> list[Path]:
    """The files in a folder that git tracks, sorted. All of its files if git tracks none, as in a copy without git."""
    try:
        command = ["git", "-C", str(folder), "ls-files", "-z"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listed = ""
    names = [folder / name for name in listed.split("\0") if name]
    return sorted(names or (path for path in folder.rglob("*") if path.is_file()))
