"""The README, followed as a user would: its code runs, its commands compose, and its links exist."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^python (?:certify|train)\.py(.*?)(?: +#.*)?$", README, flags=re.MULTILINE)


def code_with(name):
    (code,) = (block for block in PYTHON if name in block)
    return code, len([line for line in code.splitlines() if line.strip()])


def test_the_ten_lines_of_python_run(capsys):
    code, lines = code_with("L2(largest")
    assert lines <= 10
    exec(code, {})
    assert capsys.readouterr().out.count("certified;") == 3


def test_a_users_own_metric_runs(capsys):
    code, lines = code_with("class ChangedClasses")
    assert lines <= 15
    exec(code, {})
    assert re.fullmatch(r"at most \d+% of the pixels change\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_compose(settings, command):
    words = [word for word in shlex.split(command) if word != "-m" and not word.startswith("hydra/")]
    points = (word if "[" in word else word.split(",")[0].replace("range(4)", "0") for word in words)
    settings(*points)  # the first point of a sweep


def test_the_commands_are_found():
    assert len(COMMANDS) >= 8


def test_every_file_that_is_linked_is_there():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
