"""Committed rows, read again from their counts under their own settings, are those rows."""

import json
from pathlib import Path

import pytest

from experiments.again import settings_of
from experiments.data import MissingDataError
from experiments.runs.committed import committed_files
from experiments.runs.table import read_table
from experiments.training.base_function import new_noise

ROOT = Path(__file__).parents[3]
READABLE = ("Certify", "Predict")
CLAIMED = ("radius", "p_lower", "p_value", "failure_probability", "n_a", "n_b", "n")


RECORDS = [
    path
    for path in committed_files(ROOT / "results")
    if path.match("results/*/*/run.json") and json.loads(path.read_text())["identity"]["certifier"]["type"] in READABLE
]


def test_there_are_such_runs():
    assert len(RECORDS) > 20


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_rows_read_again_are_the_rows(path):
    settings = settings_of(json.loads(path.read_text()))
    try:
        noise = new_noise(settings, settings.dataset.build())
    except MissingDataError as error:
        pytest.skip(str(error))
    certifier = settings.certifier.build(f=lambda x: x, noise=noise)
    for row in read_table(path.parent).to_dict("records")[::5]:
        found = certifier.read_again(row)
        assert (found.prediction, found.status) == (row["predict"], row["status"])
        for name in CLAIMED:
            if name in row:
                assert getattr(found, name) == pytest.approx(row[name], rel=1e-12), name
