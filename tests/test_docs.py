"""The documents, followed as a user would: their commands run in an empty folder outside the clone."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.config.check import checked
from experiments.config.experiment import experiment
from experiments.config.schema import register
from experiments.config.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"(?:^(?P<lead>[^\n]*)\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w/]+\.\w+)`")
EXPERIMENTS = sorted(file.stem for file in (ROOT / "conf" / "experiment").glob("*.yaml"))
TUTORIALS = {  # the runs that each tutorial makes
    "add_a_certifier.md": {"digits_gaussian"},
    "add_a_data_set.md": {"boxes", "cells", "circle", "demo", "squares"},
    "add_a_metric.md": {"thumbnail"},
    "add_a_noise.md": {"thumbnail"},
    "add_a_paper.md": {"digits_gaussian"},
    "add_a_trainer.md": {"digits_gaussian"},
    "certify_your_own_model.md": {"perceptron", "sides"},
    "compare.md": {"complement", "bounded"},
}
ABSTAINING = ("compare.md",)  # whose examples are enough for a comparison, so that some abstain
TABLES = {"add_a_paper.md": ["accuracy_table-digits_gaussian"]}  # and their verdicts
DRAWN = {"add_a_paper.md": ["average_radius-digits_gaussian"], "compare.md": ["compare-digits_l2"]}


@dataclass(frozen=True)
class Block:
    """A fenced block and the paragraph above it."""

    kind: str
    text: str
    lead: str

    @property
    def needs(self):
        return self.lead.startswith("Needs: ")


def blocks(document):
    found = BLOCK.finditer((ROOT / "docs" / document).read_text())
    return [Block(block["kind"], block["text"], block["lead"] or "") for block in found]


def follow(document, folder, environment):
    """Follow a document in a folder: save its files, run its blocks, and compare the output with the document."""
    environment = environment | {"SUITE": str(ROOT), "PYTHONPATH": "."}
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
def test_a_tutorial_ends_in_certificates(tmp_path, at_once, document):
    follow(document, tmp_path, at_once)
    tables = list((tmp_path / "results").glob("*/*/certificates.csv"))
    assert {table.parent.parent.name for table in tables} == TUTORIALS[document]
    for table in tables:
        assert document in ABSTAINING or (pd.read_csv(table)["status"] == "certified").all()
    for figure in DRAWN.get(document, ()):
        assert (tmp_path / "figures" / f"{figure}.png").is_file()
        assert len(list((tmp_path / "figures").glob(f"{figure}.*.csv"))) == 1  # of claims, or of tests
    for table in TABLES.get(document, ()):
        assert "| ours" in (tmp_path / "figures" / f"{table}.md").read_text()
        assert len(pd.read_csv(tmp_path / "figures" / f"{table}.claims.csv")) == 3  # the printed numbers


def test_the_example_of_balanced_center_smoothing_prints_what_it_says(tmp_path, at_once):
    follow("balanced.md", tmp_path, at_once)


@pytest.mark.slow
@pytest.mark.parametrize("document", ["run_on_a_cluster.md"])
def test_what_runs_on_one_machine_runs(tmp_path, at_once, document):
    follow(document, tmp_path, at_once)
    assert len(list((tmp_path / "results" / "demo").rglob("certificates.*-of-*.csv"))) == 4
    assert len(list((tmp_path / "results" / "digits_gaussian").rglob("certificates.*-of-*.csv"))) == 4
    drawn = pd.read_csv(tmp_path / "figures" / "cohen_curves-digits_gaussian.csv")
    assert set(drawn["sigma"]) == {0.25, 0.5}


def test_every_document_with_something_to_run_is_followed():
    followed = {*TUTORIALS, "run_on_a_cluster.md", "balanced.md"}
    for file in DOCS:
        if any(block.kind in ("bash", "python") and not block.needs for block in blocks(file.name)):
            assert file.name in followed, file


def commands():
    """The command lines in blocks that need data or hardware."""
    for file in DOCS:
        for block in blocks(file.name):
            if block.kind == "bash" and block.needs:
                yield from re.findall(r"^python (?:\$SUITE/)?(certify|train)\.py ?(.*)$", block.text, re.MULTILINE)


COMMANDS = list(dict.fromkeys(commands()))
QUICK = set(COMMANDS[::8])  # composing one takes a tenth of a second


@pytest.mark.parametrize(
    ("script", "arguments"),
    [each if each in QUICK else pytest.param(*each, marks=pytest.mark.slow) for each in COMMANDS],
)
def test_commands_that_need_something_compose(script, arguments):
    words = [word for word in shlex.split(arguments) if word != "-m"]
    points = [
        word if "[" in word else word.split(",")[0].replace("range(8)", "0").replace("range(4)", "0") for word in words
    ]
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(script, points, return_hydra_config=True)  # includes the launcher's keys
    assert checked(OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"]), Settings).name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_listed_with_its_commands_and_samples(name):
    text = (ROOT / "docs" / "experiments.md").read_text()
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", text, re.MULTILINE)
    for command in experiment(name).commands():
        assert f"\n{command}\n" in text, command
    samples, c = row.split("|")[2].strip(), experiment(name).config.certifier
    if "n0" in c:
        assert samples == f"{c['n0'] + c['n']:,}"
    elif "m" in c:
        assert samples == f"{c.get('candidates', 0) + 2 * c['n'] + c['m']:,}"
    elif "n" in c:
        assert samples == f"{c['n']:,}"
    else:
        assert "to" in samples or "DeepFool" in samples


def test_every_file_that_is_linked_is_there():
    for file in DOCS:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text()):
            if not link.startswith("https:"):
                assert (file.parent / link).exists(), f"{file}: {link}"
