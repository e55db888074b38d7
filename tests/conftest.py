"""Fixtures: composed settings, and commands that start at once.

Costly packages are imported in the functions that need them: the process that starts the workers needs none.
"""

import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items):
    import gc

    import torch

    gc.set_threshold(20_000, 20, 50)  # looking through all that torch holds is a twentieth of the time

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):  # its keywords also hold the names of folders
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(autouse=True)
def same_numbers_every_time():
    """Seed torch's global generator, from which tests draw inputs and weights."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def precision_is_left_alone():
    """Fail a test that leaves torch with another float32 precision: on some processors it would change later tests."""
    import torch

    backends = torch.backends
    settings = {
        "generic": backends,
        "mkldnn matmul": backends.mkldnn.matmul,
        "mkldnn conv": backends.mkldnn.conv,
        "mkldnn rnn": backends.mkldnn.rnn,
        "cuda matmul": backends.cuda.matmul,
        "cudnn conv": backends.cudnn.conv,
        "cudnn rnn": backends.cudnn.rnn,
    }

    def now():
        return {name: setting.fp32_precision.replace("none", "ieee") for name, setting in settings.items()}

    before = now()
    yield
    assert now() == before


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """A folder with the committed results alone: own runs in results/ change no test."""
    from experiments.runs.committed import committed_files

    copy = tmp_path_factory.mktemp("committed")
    for file in committed_files(ROOT / "results"):
        (copy / file.relative_to(ROOT / "results")).parent.mkdir(parents=True, exist_ok=True)
        (copy / file.relative_to(ROOT / "results")).symlink_to(file)
    return copy


@pytest.fixture(scope="session")
def settings():
    """The checked settings of a certify command: settings("experiment=demo", "noise.sigma=0.2")."""
    from hydra import compose, initialize_config_dir

    from experiments.config.check import checked
    from experiments.config.schema import register
    from experiments.config.settings import Settings

    register()

    @cache
    def composed(*overrides):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return checked(compose("certify", list(overrides)), Settings)

    return composed


@pytest.fixture(scope="session")
def at_once():
    """An environment in which `python` is a fork of a process that has imported torch; see tests/fork_server.py."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "forks"
        command = [sys.executable, str(ROOT / "tests" / "fork_server.py"), str(place)]
        server = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        while not place.exists():
            assert server.poll() is None, "the fork server ended"
            time.sleep(0.02)
        paths = [str(ROOT / "tests" / "commands"), str(Path(sys.executable).parent), os.environ["PATH"]]
        yield os.environ | {"FORK_SERVER": str(place), "PATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        server.kill()
        server.wait()


@pytest.fixture
def python(at_once):
    """python("certify.py", ...) runs a command in a folder, ROOT by default: exit code, stdout and stderr as text."""

    def run(script, *arguments, cwd=ROOT, **environment):
        script = str(ROOT / script) if str(script).endswith(".py") else script
        return subprocess.run(
            [str(ROOT / "tests" / "commands" / "python"), script, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=at_once | environment,
            check=False,
        )

    return run
