"""Rules of the repository: imports, pinned versions, file lengths, and no paths of one machine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LAYERS = ("smoothing", "models", "experiments")


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {re.sub("[-_.]+", "-", r.name).lower(): r for r in requirements}


def test_the_library_imports_neither_hydra_nor_vision_packages_nor_anything_else_of_the_project():
    others = ("hydra", "omegaconf", "models", "experiments", "matplotlib", "pandas", "lpips", "torchvision")
    code = f"import smoothing, sys; print([m for m in sys.modules if m.partition('.')[0] in {others}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(layer):
    later = LAYERS[LAYERS.index(layer) + 1 :]
    for file in (ROOT / layer).rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), flags=re.MULTILINE)
        assert not set(imported) & {*later, "certify", "train", "plot"}, file


def test_every_dependency_is_locked_at_a_version_that_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = locked()
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, wanted):
        if requirement.name == project["name"]:
            continue  # one of its own extras
        (pinned,) = lock[requirement.name].specifier
        assert pinned.operator == "=="
        assert requirement.specifier.contains(pinned.version), requirement
    assert "facenet-pytorch" in lock


def test_the_conda_environment_has_the_locked_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    assert pip == ["-r requirements.lock", "-e ."]
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    (python,) = (part for part in environment["dependencies"] if str(part).startswith("python="))
    assert required == ">=" + python.removeprefix("python=")


def test_every_locked_line_is_a_version_and_nothing_else():
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?:|file:|@ |--index|--find-links", text)
    assert all(next(iter(r.specifier)).operator == "==" for r in locked().values())


def tracked():
    done = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in done.stdout.splitlines()]


def test_nothing_of_one_machine_is_tracked():
    for file in tracked():
        if (
            file.suffix not in (".png", ".jpg", ".npz", ".pdf", ".safetensors")
            and file != Path(__file__)
            and file.exists()
        ):
            assert not re.search(r"/root/|/home/\w+/|/work/|/Users/", file.read_text()), file


def test_modules_are_short():
    for layer in LAYERS:
        for file in (ROOT / layer).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 300, file


def test_make_help_lists_every_target():
    done = subprocess.run(["make", "help"], capture_output=True, text=True, cwd=ROOT, check=True)
    (targets,) = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for target in targets.split():
        assert f"make {target} " in done.stdout


# The rooms of experiments/ that a room may import, besides itself.
ROOMS = {
    "machine": set(),
    "data": set(),
    "config": {"machine", "data"},
    "runs": {"machine", "data", "config"},
    "training": {"machine", "data", "config", "runs"},
    "certifying": {"machine", "data", "config", "runs", "training"},
    "report": {"machine", "data", "config", "runs"},
    "papers": {"machine", "data", "config", "runs", "report"},
    "documents": {"machine", "data", "config", "runs", "report", "papers"},
}
PAPERS = sorted(path.name for path in (ROOT / "experiments" / "papers").iterdir() if (path / "__init__.py").exists())


def imported_of_experiments(file):
    return re.findall(r"^\s*(?:from|import) experiments\.([\w.]+)", file.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_one_way(room):
    for file in (ROOT / "experiments" / room).rglob("*.py"):
        rooms = {module.partition(".")[0] for module in imported_of_experiments(file)}
        assert rooms <= ROOMS[room] | {room}, file
        assert not re.search(r"^\s*from experiments import", file.read_text(), flags=re.MULTILINE), file


def test_papers_do_not_import_each_other():
    """Except `ours` and `yours`, which compare with the papers."""
    for paper in PAPERS:
        for file in (ROOT / "experiments" / "papers" / paper).rglob("*.py"):
            others = {module.split(".")[1] for module in imported_of_experiments(file) if module.startswith("papers.")}
            assert paper in ("ours", "yours") or others <= {paper}, file


def test_every_room_is_known():
    folders = {path.name for path in (ROOT / "experiments").iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert folders == {*ROOMS, "benchmarks"}
    files = {path.name for path in (ROOT / "experiments").glob("*.py")}
    assert files == {"__init__.py", "again.py", "calibrate.py", "reread.py"}


def test_conf_holds_yaml_only():
    assert {path.suffix for path in (ROOT / "conf").rglob("*") if path.is_file()} == {".yaml"}
