"""The README as a user follows it: its code runs, its commands compose, its links lead somewhere."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    python (?:certify|train)\.py(.*?)(?: +#.*)?$", README, flags=re.MULTILINE)


def test_the_ten_lines_of_python_run(capsys):
    section = README.partition("## Certify your own model in ten lines")[2]
    (code,) = re.findall(r"\n\n((?:    .*\n|\n)+)", section.partition("`model` is")[0])
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    exec(textwrap.dedent(code), {})
    assert capsys.readouterr().out.count("certified;") == 3


def test_a_users_own_metric_runs(capsys):
    section = README.partition("one class with a `_distance` method:")[2].partition("A new noise is")[0]
    code = textwrap.dedent(section)
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    exec(code, {})
    assert re.fullmatch(r"at most \d+% of the pixels change\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_compose(settings, command):
    words = [word for word in shlex.split(command) if word != "-m" and not word.startswith("hydra/")]
    points = (word if "[" in word else word.split(",")[0].replace("range(4)", "0") for word in words)
    settings(*points)  # of a sweep the first


def test_the_commands_are_found():
    assert len(COMMANDS) >= 8


def test_every_file_that_is_linked_is_there():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
