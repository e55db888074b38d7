"""The library after `pip install`: only `smoothing`, which needs only torch, numpy and scipy."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
NEEDED = ("torch", "numpy", "scipy")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, because an old build/ folder would leak into it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("smoothing", "models", "experiments", "hydra_plugins", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def requirements_of(names):
    """These distributions and all their requirements on this machine."""
    found, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        if name.lower() in found:
            continue
        found[name.lower()] = one = distribution(name)
        for line in one.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found.values()


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """A Python environment with the wheel, torch, numpy, scipy and their requirements, and nothing of the suite."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for needed in requirements_of(NEEDED):
        for top in {file.parts[0] for file in needed.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(needed.locate_file(top)))
    with zipfile.ZipFile(wheel) as content:
        content.extractall(packages)
    return folder / "bin" / "python"


def run(python, code):
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False, cwd="/")


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"smoothing", "certified_smoothing"}
    assert "smoothing/py.typed" in names
    assert sum(name.endswith(".py") for name in names) == len(list((ROOT / "smoothing").rglob("*.py")))


def test_it_depends_on_torch_numpy_and_scipy(wheel):
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = (name for name in content.namelist() if name.endswith("/METADATA"))
        lines = content.read(metadata).decode().partition("\n\n")[0].splitlines()
    required = [Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if line.startswith("Requires-Dist")]
    assert {r.name for r in required if "extra" not in str(r.marker)} == set(NEEDED)


@pytest.mark.parametrize("module", ["hydra", "omegaconf", "pandas", "matplotlib", "statsmodels", "torchvision"])
def test_the_environment_is_empty_of_the_suite(python, module):
    assert "ModuleNotFoundError" in run(python, f"import {module}").stderr


@pytest.mark.slow
def test_the_readmes_examples_certify_there(python):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    examples = [block for block in blocks if "from smoothing import" in block]
    assert len(examples) >= 2
    for example in examples:
        done = run(python, example)
        assert done.returncode == 0, done.stderr
        assert re.search(r"at most \d", done.stdout)
