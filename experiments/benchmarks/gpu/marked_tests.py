"""The tests marked gpu, without the slow ones."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

from experiments.benchmarks.gpu import FAILED

ROOT = Path(__file__).parents[3]


def run(device: torch.device, tiny: bool) -> Iterator[str]:
    """Run them with pytest, which prints. Tiny: only collect them."""
    yield from tested("gpu and not slow", tiny)


def tested(marked: str, tiny: bool) -> Iterator[str]:
    """Run the tests with these marks, of the files that have tests marked gpu."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    yield f"{len(files)} files have tests marked gpu"
    workers = ["-n", "4"] if find_spec("xdist") and not tiny else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marked, *workers]
    paths = [str(path.relative_to(ROOT)) for path in files]
    code = subprocess.run([*command, *(["--collect-only"] if tiny else []), *paths], cwd=ROOT, check=False).returncode
    if code:
        yield f"{FAILED}pytest ended with code {code}"
