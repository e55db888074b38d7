"""Rows of a finished run, recomputed from its run.json."""

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.again import differences, made_again, settings_of
from experiments.certifying.certification import certify
from smoothing import SettingError

REPOSITORY = Path(__file__).parents[2]
QUICK = ("trainer.epochs=2", "trainer.lr_step=2", "limit=3", "certifier.n=300", "device=cpu")


@pytest.fixture
def finished(trained, settings, tmp_path):
    """A small run's run.json, and the folder of its checkpoints."""
    root = trained("trainer.epochs=2", "trainer.lr_step=2").parent
    typed = (f"checkpoints.root={root}", f"results.root={tmp_path / 'results'}")
    return certify(settings("experiment=digits_gaussian", *QUICK, *typed)).parent / "run.json", root


def test_rows_come_out_equal(finished):
    record, root = finished
    old, new = made_again(record, [int(i) for i in range(2)], checkpoints_root=str(root))
    assert list(old["index"]) == [0, 1]
    assert differences(old, new).max() == 0
    changed = new.assign(n_a=new["n_a"] + 1, status="abstained")
    assert differences(old, changed)[["n_a", "status"]].min() > 1e-3
    assert differences(old, changed).drop(["n_a", "status"]).max() == 0


def test_the_network_is_trained_again_where_there_is_no_checkpoint(finished, tmp_path):
    record, _ = finished
    old, new = made_again(record, [], checkpoints_root=str(tmp_path / "elsewhere"))
    assert differences(old, new).max() == 0


def test_a_run_without_rows_and_keys_that_nobody_knows_are_said_in_a_line(finished):
    record, _ = finished
    content = json.loads(record.read_text())
    with pytest.raises(SettingError, match="colour: no such key"):
        settings_of(content | {"config": content["config"] | {"colour": "red"}})
    table = record.with_name("certificates.csv")
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(SettingError, match="expected a table with rows"):
        made_again(record, [])


def test_a_run_from_before_grids_and_later_keys_has_noise_that_is_not_rounded(finished):
    path, _ = finished
    record = json.loads(path.read_text())
    assert settings_of(record).noise.get("grid") is None
    for key in ("compiled", "also", "logger"):
        record["config"].pop(key, None)
    record["config"]["noise"].pop("grid")
    record["identity"].pop("grid")
    plain = settings_of(record)
    assert plain.noise.get("grid") == 0
    assert plain.compiled is False


def test_what_is_not_there_is_said_in_a_line(python, finished, tmp_path):
    record, root = finished
    with pytest.raises(SettingError, match="has no example 7"):
        made_again(record, [7], checkpoints_root=str(root))
    for text in ("no json", "[]", "{}"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(SettingError, match=r"not a run\.json of this suite"):
            made_again(tmp_path / "other.json", [])
    ended = python("-m", "experiments.again", str(tmp_path / "run.json"))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1


def test_one_number_that_differs_is_told_whole_and_in_its_column():
    old = pd.DataFrame({"index": [0, 1], "eps_out": [1.0, 4.0], "seconds": [1.0, 2.0]})
    found = differences(old, old.assign(eps_out=[1.0, 3.0], seconds=9.0))
    assert found.to_dict() == {"index": 0.0, "eps_out": 0.25}


def test_a_folder_in_place_of_a_record_is_named(finished):
    record, _ = finished
    for folder in (record.parent, record.parents[1]):
        with pytest.raises(
            SettingError, match=rf"^{folder}: a folder; give the run\.json of one run, such as {record}$"
        ):
            made_again(folder, [])
