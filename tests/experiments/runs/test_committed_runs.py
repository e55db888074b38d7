"""Committed runs keep their hashes when keys are added to the identity."""

import json
from pathlib import Path

import pytest

from experiments.again import settings_of
from experiments.config.identity import identity, identity_hash
from experiments.config.schema import register
from experiments.runs.committed import committed_files

ROOT = Path(__file__).parents[3]
RECORDS = [path for path in committed_files(ROOT / "results") if path.match("results/*/*/run*.json")]
# Made before their class got another argument.
YOUNGER = {"certifier": ("stop_if_misclassified", "runner_up", "rho", "match"), "training": ("stability", "noisy")}


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


def test_there_are_committed_runs():
    assert len(RECORDS) > 100


@pytest.mark.parametrize(
    "path",
    [path if k % 3 == 0 else pytest.param(path, marks=pytest.mark.slow) for k, path in enumerate(RECORDS)],
    ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}",
)
def test_a_committed_run_is_continued_in_its_folder(path):
    record = json.loads(path.read_text())
    kept = record["identity"]
    assert path.parent.name.endswith(identity_hash(kept))
    plain = settings_of(record)
    again = identity(plain, kept["dataset"].get("fingerprint", ""), kept.get("training"), kept.get("grid"))
    assert again == kept
