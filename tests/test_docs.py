"""The documents as a user follows them: in an empty folder outside the clone, what they say to run runs."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"(?:^(?P<lead>[^\n]*)\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w/]+\.\w+)`")
EXPERIMENTS = sorted(file.stem for file in (ROOT / "conf" / "experiment").glob("*.yaml"))
TUTORIALS = {  # the runs that each leaves behind
    "add_a_data_set.md": {"circle", "demo"},
    "add_a_metric.md": {"thumbnail"},
    "add_a_noise.md": {"thumbnail"},
    "certify_your_own_model.md": {"perceptron", "sides"},
}


@dataclass(frozen=True)
class Block:
    """A fenced block, and the paragraph right above it."""

    kind: str
    text: str
    lead: str

    @property
    def needs(self):
        return self.lead.startswith("Needs: ")


def blocks(document):
    found = BLOCK.finditer((ROOT / "docs" / document).read_text())
    return [Block(block["kind"], block["text"], block["lead"] or "") for block in found]


def follow(document, folder):
    """Do what a document says, in a folder: save its files, run its blocks, hold what they print against it."""
    environment = os.environ | {
        "SUITE": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": ".",
        "OMP_NUM_THREADS": "1",
    }
    printed = None
    for block in blocks(document):
        if named := FILE.fullmatch(block.lead):
            file = folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.kind == "text" and printed is not None:
            assert printed == block.text
        elif block.kind in ("bash", "python") and not block.needs:
            command = {"bash": ["bash", "-e"], "python": ["python", "-"]}[block.kind]
            done = subprocess.run(
                command, input=block.text, capture_output=True, text=True, cwd=folder, env=environment, check=False
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            printed = done.stdout


@pytest.mark.parametrize("document", TUTORIALS)
def test_a_tutorial_ends_in_certificates(tmp_path, document):
    follow(document, tmp_path)
    tables = list((tmp_path / "results").glob("*/*/certificates.csv"))
    assert {table.parent.parent.name for table in tables} == TUTORIALS[document]
    for table in tables:
        assert (pd.read_csv(table)["status"] == "certified").all()


@pytest.mark.slow
@pytest.mark.parametrize("document", ["run_on_a_cluster.md"])
def test_what_runs_on_one_machine_runs(tmp_path, document):
    follow(document, tmp_path)
    assert len(list((tmp_path / "results").rglob("certificates.*-of-*.csv"))) == 4


def test_every_document_with_something_to_run_is_followed():
    followed = {*TUTORIALS, "run_on_a_cluster.md"}
    for file in DOCS:
        if any(block.kind in ("bash", "python") and not block.needs for block in blocks(file.name)):
            assert file.name in followed, file


def commands():
    """The command lines of blocks that need something."""
    for file in DOCS:
        for block in blocks(file.name):
            if block.kind == "bash" and block.needs:
                yield from re.findall(r"^python (?:\$SUITE/)?(certify|train)\.py ?(.*)$", block.text, re.MULTILINE)


@pytest.mark.parametrize(("script", "arguments"), sorted(set(commands())))
def test_commands_that_need_something_compose(script, arguments):
    words = [word for word in shlex.split(arguments) if word != "-m"]
    points = [
        word if "[" in word else word.split(",")[0].replace("range(8)", "0").replace("range(4)", "0") for word in words
    ]
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        compose(script, points, return_hydra_config=True)  # the launcher's keys with it
        cfg = compose(script, [point for point in points if not point.startswith("hydra")])
    assert checked(cfg, Settings).name


def headline_commands(name):
    """The commands that an experiment's file opens with."""
    text = (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text()
    return re.findall(r"^# (?:after: )?(python (?:train|certify)\.py.*?)(?:   .*)?$", text, re.MULTILINE)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_listed_with_its_commands_and_samples(settings, name):
    text = (ROOT / "docs" / "experiments.md").read_text()
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", text, re.MULTILINE)
    for command in headline_commands(name):
        assert f"\n{command}\n" in text, command
    samples, c = row.split("|")[2].strip(), settings(f"experiment={name}").certifier.arguments
    if "n0" in c:
        assert samples == f"{c['n0'] + c['n']:,}"
    elif "m" in c:
        assert samples == f"{c.get('candidates', 0) + 2 * c['n'] + c['m']:,}"
    else:
        assert "to" in samples or "DeepFool" in samples


def test_every_file_that_is_linked_is_there():
    for file in DOCS:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text()):
            if not link.startswith("https:"):
                assert (file.parent / link).exists(), f"{file}: {link}"
