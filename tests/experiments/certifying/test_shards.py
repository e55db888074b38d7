"""Readers merge shards: each row once, in the order of the data set, even while jobs are writing."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from experiments.report.terminal import terminal_table
from experiments.runs.reader import find_runs
from experiments.runs.table import Schema, TableWriter, read_table
from smoothing import CenterSmoothing, Predict


def row(index, predict=1):
    return dict.fromkeys(Predict.columns, 0) | {"index": index, "predict": predict, "status": "certified"}


def write(folder, name, indices, **others):
    folder.mkdir(exist_ok=True)
    record = {"identity": {"certifier": {"type": "Predict"}}, "config": {"name": "shards"}}
    (folder / "run.json").write_text(json.dumps(record))
    with TableWriter(folder / f"certificates{name}.csv", Schema.of(Predict)) as table:
        table.write([row(index, **others) for index in indices])
    return folder


@pytest.fixture
def one(tmp_path):
    return read_table(write(tmp_path / "one", "", range(40)))


@pytest.mark.parametrize("count", [2, 4, 7])
def test_shards_together_are_one_run(tmp_path, one, count):
    for index in reversed(range(count)):
        write(tmp_path / "shards", f".{index}-of-{count}", range(40)[index::count])
    pd.testing.assert_frame_equal(read_table(tmp_path / "shards"), one)


def test_shards_of_different_counts_are_not_doubled(tmp_path, one):
    """Files after shard.count=4 with one job missing, then shard.count=3, and some rows without shards."""
    for index, count in ((0, 4), (1, 4), (3, 4), (0, 3), (1, 3), (2, 3)):
        write(tmp_path / "shards", f".{index}-of-{count}", range(40)[index::count])
    write(tmp_path / "shards", "", range(5))
    assert sum(len(pd.read_csv(path)) for path in (tmp_path / "shards").glob("*.csv")) == 75
    pd.testing.assert_frame_equal(read_table(tmp_path / "shards"), one)


def test_of_two_rows_that_differ_always_the_same_one_is_read(tmp_path):
    write(tmp_path / "a", ".0-of-2", [0, 2], predict=5)
    write(tmp_path / "a", ".0-of-3", [0, 3], predict=6)
    assert dict(read_table(tmp_path / "a")[["index", "predict"]].to_numpy().tolist()) == {0: 5, 2: 5, 3: 6}


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_being_written_is_not_read(tmp_path, cut):
    path = write(tmp_path / "a", "", range(3)) / "certificates.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read_table(tmp_path / "a")["index"].tolist() == [0, 1]
    assert path.read_bytes() == whole[:-cut], "a reader changes nothing"
    with TableWriter(path, Schema.of(Predict)) as table:
        table.write([row(2)])
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ["", "index,lab"])
def test_a_job_that_has_no_row_yet(tmp_path, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "certificates.1-of-2.csv").write_text(content)
    assert read_table(tmp_path / "a").empty
    write(tmp_path / "a", ".0-of-2", [0, 2])
    assert read_table(tmp_path / "a")["index"].tolist() == [0, 2]


def test_only_a_header(tmp_path):
    write(tmp_path / "a", "", [])
    assert read_table(tmp_path / "a").columns.tolist() == list(Predict.columns)


def test_runs_and_the_terminal_table_are_of_all_shards(tmp_path):
    folder = tmp_path / "digits" / "sigma=1"
    folder.mkdir(parents=True)
    for index in range(3):
        write(folder, f".{index}-of-3", range(9)[index::3])
        (folder / f"run.{index}-of-3.json").write_text('{"identity": {"certifier": {}}, "config": {"name": "digits"}}')
    (run,) = find_runs(tmp_path)
    assert run.table["index"].tolist() == list(range(9))
    shown = [line.split()[0] for line in terminal_table(folder).splitlines()[1:]]
    assert shown == [str(index) for index in range(9)]


def test_every_row_is_on_the_disk_when_it_is_written(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((tmp_path / "a.csv").read_text()))
    with TableWriter(tmp_path / "a.csv", Schema.of(Predict)) as table:
        for index in range(3):
            table.write([row(index)])
            assert [int(line["index"]) for line in csv.DictReader(synced[-1].splitlines())] == list(range(index + 1))


def test_a_new_table_is_in_its_folder_for_good_before_its_first_row(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr("experiments.runs.table.sync_folder", lambda folder: steps.append(folder))
    monkeypatch.setattr("os.fsync", lambda descriptor: steps.append("rows"))
    for asked in ([row(0)], [row(0)], [row(0), row(1)]):
        with TableWriter(tmp_path / "a.csv", Schema.of(Predict)) as table:
            table.write(asked)
    assert steps == [tmp_path, "rows", "rows", "rows"]
    (tmp_path / "a.csv").write_text("")  # as a kill between the two leaves it
    TableWriter(tmp_path / "a.csv", Schema.of(Predict)).__exit__(None, None, None)
    assert steps[4:] == [tmp_path]


def test_a_row_that_is_there_is_not_written_again(tmp_path):
    row = dict.fromkeys(CenterSmoothing.columns, 0)
    for _ in range(2):
        with TableWriter(tmp_path / "certificates.csv", Schema.of(CenterSmoothing)) as table:
            table.write([row])
            table.write([row])
    assert len((tmp_path / "certificates.csv").read_text().splitlines()) == 2


def test_numbers_and_every_radius_are_read_as_they_were_written(tmp_path):
    """A radius that is read back one unit in the last place too large is no longer certified."""
    numbers = np.random.default_rng(0).random(1000) * 10.0 ** np.arange(-10, 0).repeat(100)
    rows = [
        dict.fromkeys(CenterSmoothing.columns, 0) | {"index": i // 2, "eps_in": 0.1 * (i % 2), "eps_out": float(v)}
        for i, v in enumerate(numbers)
    ]
    with TableWriter(tmp_path / "certificates.csv", Schema.of(CenterSmoothing)) as table:
        table.write(rows)
    assert read_table(tmp_path)["eps_out"].tolist() == numbers.tolist()
