"""Names of run folders: readable, without characters that Hydra or a shell would want quoted; old names are found."""

import re
from dataclasses import replace

import pytest

from experiments.config.identity import identity_hash
from experiments.config.settings import Folder
from experiments.runs.examples import listed_rows
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import EXAMPLES, TableWriter

GAUSSIAN = {"noise": {"type": "Gaussian", "sigma": 0.25}, "certifier": {"type": "Certify", "n": 100_000, "alpha": 0.1}}
CENTER = {"type": "BalancedCenterSmoothing", "n": 40, "m": 60, "q": 0.8}
OWN = {"type": "my_code.VoteOf7", "n": 5}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "certify-sigma0.25-n100000"),
        ({"noise": {"type": "Gaussian", "sigma": 2 / 15}}, "certify-sigma0.1333-n100000"),
        ({"noise": {}}, "certify-clean-n100000"),
        ({"noise": {"type": "my_noises.Shift"}}, "certify-shift-n100000"),
        ({"certifier": CENTER}, "balanced-center-smoothing-sigma0.25-n40-m60"),
        ({"noise": {"type": "D", "sigma": 1.0, "seed": 0}, "certifier": {"type": "ExactCertify"}}, None),
        ({"noise": {"type": "my.Laplace", "scale": [1, "a=b"], "code": "12"}, "certifier": OWN}, None),
    ],
)
def test_a_folder_is_named_after_certifier_noise_and_samples(settings, tmp_path, changes, expected):
    identity = GAUSSIAN | changes
    own = replace(settings("experiment=digits_gaussian"), results=Folder(str(tmp_path)))
    folder = RunFolder(tmp_path, own, identity).path
    expected = (
        expected
        or {"D": "exact-certify-sigma1-seed0", "my.Laplace": "vote-of7-scale_1_a_b_-n5"}[identity["noise"]["type"]]
    )
    assert folder == tmp_path / "digits_gaussian" / f"{expected}-{identity_hash(identity)}"
    assert re.fullmatch(r"[\w.+-]+", folder.name)  # Hydra takes it unquoted: plot.py table=<folder>


def test_a_folder_of_an_earlier_name_is_continued(settings, tmp_path):
    old = tmp_path / "digits_gaussian" / f"sigma=0.25-{identity_hash(GAUSSIAN)}"
    old.mkdir(parents=True)
    assert RunFolder(tmp_path, settings("experiment=digits_gaussian"), GAUSSIAN).path == old
    another = GAUSSIAN | {"seed": 1}
    assert RunFolder(tmp_path, settings("experiment=digits_gaussian"), another).path != old


def test_examples_are_read_as_they_were_listed(tmp_path):
    """Names of classes and files may be numbers."""
    rows = [
        {"index": 3, "file": "007", "label": 1, "class": "01", "input": None},
        {"index": 7, "file": "010", "label": None, "class": "10", "input": "sha256:1"},
    ]
    with TableWriter(tmp_path / "examples.csv", EXAMPLES) as table:
        table.write(rows)
    assert listed_rows(tmp_path) == rows
    assert listed_rows(tmp_path, [7]) == rows[1:]
