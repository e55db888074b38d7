"""Rows that are read again, by `experiments.reread` and by certify.py, are those that sampling again would give."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from experiments.certifying import certification
from experiments.data import Digits
from experiments.report.terminal import summary
from experiments.reread import _needs_samples, main, reread_run
from experiments.runs.committed import committed_files
from experiments.runs.reader import find_runs, unfinished
from experiments.runs.table import read_table
from experiments.training import loop
from smoothing import SettingError
from smoothing.base_function import FrozenFunction

NEW = ["certifier.alpha=0.05", "certifier.runner_up=bounded", "certifier.bound=randomised"]
QUICK = ("experiment=digits_gaussian", "trainer.epochs=3", "trainer.lr_step=2", "device=cpu")
RESULTS = Path(__file__).parents[3] / "results" / "digits_gaussian"
CENTER = ("metric=l2", "certifier.n=300", "certifier.m=400")


@pytest.fixture(scope="module")
def checkpoints(composed, tmp_path_factory):
    """The folder with one briefly trained network."""
    root = tmp_path_factory.mktemp("checkpoints")
    loop.train(composed(*QUICK, f"checkpoints.root={root}"))
    return root


@pytest.fixture
def digits(settings, checkpoints, tmp_path):
    """digits(root, ...): certify six digits -> the table."""

    def certified(root, *overrides, limit=6):
        folders = (f"results.root={tmp_path / root}", f"checkpoints.root={checkpoints}", f"limit={limit}")
        return certification.certify(settings(*QUICK, "certifier.n=1000", *folders, *overrides))

    return certified


@pytest.fixture
def centers(digits):
    """centers(root, ...): certify the scores of three digits as vectors -> the table."""
    return lambda root, *overrides: digits(root, *CENTER, *overrides, limit=3)


@pytest.fixture
def no_sampling(monkeypatch):
    """From here on, no base function can be evaluated."""

    def stop():
        monkeypatch.setattr(FrozenFunction, "__call__", lambda *_: pytest.fail("sampled again"))

    return stop


def test_rows_of_shards_are_taken_by_a_run_of_other_shards(digits, no_sampling, capsys):
    alone = digits("whole")
    whole = rows(alone)
    for index in range(2):
        digits("parts", "shard.count=2", f"shard.index={index}")
    no_sampling()
    capsys.readouterr()
    table = digits("parts")
    said = capsys.readouterr().err
    for index in range(2):
        assert f"3 examples taken from {table.parent}/certificates.{index}-of-2.csv, not sampled\n" in said
    pd.testing.assert_frame_equal(rows(table), whole)
    record = json.loads((table.parent / "run.json").read_text())
    assert [each["examples"] for each in record["read_again"]] == [[0, 2, 4], [1, 3, 5]]
    third = digits("parts", "shard.count=3", "shard.index=1")
    assert pd.read_csv(third)["index"].tolist() == [1, 4]
    merged, before = (read_table(folder).drop(columns="seconds") for folder in (table.parent, alone.parent))
    pd.testing.assert_frame_equal(merged, before)


def test_only_whole_examples_with_a_record_are_taken(digits):
    table = digits("parts", "shard.count=2", "shard.index=0")
    (table.parent / "run.0-of-2.json").rename(table.parent / "run.1-of-2.json")
    before = pd.read_csv(table)
    again = pd.read_csv(digits("parts"))
    assert len(again) == 6, "no record says how the rows of the other file were made"
    assert len(before) == 3


def rows(path):
    return pd.read_csv(path).drop(columns="seconds")


def the_run(path):
    (found,) = find_runs(path.parent)
    return found


def test_rows_of_certify_are_read_again_as_they_would_be_sampled(digits, tmp_path, no_sampling):
    old, expected = digits("old"), digits("expected", *NEW)
    no_sampling()
    folder, left = reread_run(the_run(old), [*NEW, f"results.root={tmp_path / 'new'}"])
    assert left == []
    assert folder.name == expected.parent.name  # one identity
    pd.testing.assert_frame_equal(rows(folder / "certificates.csv"), rows(expected), check_exact=True)
    assert (rows(expected)["radius"] != rows(old)["radius"]).any()
    assert pd.read_csv(folder / "certificates.csv")["seconds"].tolist() == pd.read_csv(old)["seconds"].tolist()
    record, source = the_run(folder / "certificates.csv").record, the_run(old).record
    (reading,) = record["read_again"]
    assert reading["from"] == f"digits_gaussian/{old.parent.name}"
    assert {"at", "commit", "versions"} <= set(reading)
    for kept in ("started", "ended", "device", "arithmetic", "classes"):
        assert record[kept] == source[kept]
    assert record["config"]["certifier"]["alpha"] == 0.05


def test_certify_reads_runs_beside_it_again_and_samples_only_the_rest(digits, capsys, tmp_path):
    old = digits("old", limit=4)
    capsys.readouterr()
    new = digits("old", *NEW)
    assert f"4 examples read again from {old.parent}, not sampled" in capsys.readouterr().err
    pd.testing.assert_frame_equal(rows(new).sort_values("index"), rows(digits("expected", *NEW)), check_exact=True)
    digits("old", *NEW)
    assert "read again" not in capsys.readouterr().err  # nothing is left to do
    digits("old", "certifier.n=999")
    digits("old", "certifier.n0=99")
    digits("old", *NEW, "precision=bfloat16")
    assert "read again" not in capsys.readouterr().err  # other samples, or another function


def test_a_damaged_run_beside_it_changes_nothing(digits, capsys):
    old = digits("old", limit=1)
    (old.parent / "run.json").write_text("{")
    capsys.readouterr()
    assert len(rows(digits("old", *NEW, limit=1))) == 1
    assert "read again" not in capsys.readouterr().err


def test_a_prediction_that_abstained_is_sampled_at_a_larger_alpha(digits, capsys):
    """Its row does not contain the class."""
    predict = ("certifier=predict", "noise.sigma=0.25", "certifier.n=12")
    old, limit = digits("old", *predict, "certifier.alpha=0.0005", limit=12), 12
    assert (rows(old)["status"] == "abstained").any()
    capsys.readouterr()
    new = digits("old", *predict, "certifier.alpha=0.2", limit=limit)
    assert "read again from" in capsys.readouterr().err
    expected = rows(digits("expected", *predict, "certifier.alpha=0.2", limit=limit))
    pd.testing.assert_frame_equal(rows(new).sort_values("index", ignore_index=True), expected, check_exact=True)


def test_a_run_without_draws_is_refused_and_nothing_is_written(centers, tmp_path):
    old = centers("old", "certifier=center", "certifier.delta=0.3", "eps=0.02")
    shutil.rmtree(old.parent / "draws")
    with pytest.raises(SettingError, match="none of its 3 examples has the draws that these settings need"):
        reread_run(the_run(old), ["eps=0.03", f"results.root={tmp_path / 'new'}"])
    assert not (tmp_path / "new").exists()


def test_no_data_is_needed(digits, tmp_path, monkeypatch):
    old = digits("old", limit=1)
    monkeypatch.setattr(Digits, "__init__", lambda *_: pytest.fail("read the data"))
    folder, left = reread_run(the_run(old), ["certifier.alpha=0.1", f"results.root={tmp_path / 'new'}"])
    assert (left, len(rows(folder / "certificates.csv"))) == ([], 1)


def test_rows_of_changed_weights_are_not_read_again(digits, capsys):
    old = digits("old")
    record = json.loads((old.parent / "run.json").read_text())
    (old.parent / "run.json").write_text(json.dumps(record | {"classes": [f"not {k}" for k in range(10)]}))
    capsys.readouterr()
    digits("old", *NEW)
    assert "read again" not in capsys.readouterr().err


@pytest.mark.parametrize("certifier", ["center", "center_hd"])
def test_output_certificates_are_read_again_from_the_draws(centers, tmp_path, no_sampling, certifier):
    own = (f"certifier={certifier}", *(["certifier.candidates=8"] if certifier == "center_hd" else []))
    new = ["certifier.alpha1=0.02", "certifier.alpha2=0.02", "certifier.delta=0.25", "eps=[0.01,0.03]"]
    old = centers("old", *own, "certifier.delta=0.3", "eps=0.02")
    expected = centers("expected", *own, *new)
    no_sampling()
    folder, left = reread_run(the_run(old), [*new, f"results.root={tmp_path / 'new'}"])
    assert (left, folder.name) == ([], expected.parent.name)
    pd.testing.assert_frame_equal(rows(folder / "certificates.csv"), rows(expected), check_exact=True)
    again, _ = reread_run(the_run(folder / "certificates.csv"), ["eps=0.02"])  # in its own folder
    assert again == folder
    assert rows(folder / "certificates.csv")["eps_in"].tolist() == [0.01, 0.03] * 3 + [0.02] * 3


def test_examples_that_abstained_too_early_are_named_and_certify_samples_them(centers, tmp_path, capsys, monkeypatch):
    old = centers("old", "certifier=center", "certifier.delta=0.07", "certifier.alpha1=0.02", "eps=0.01")
    strict = rows(old)
    new = ("certifier.delta=0.4", "certifier.alpha1=0.02", "eps=0.01")
    expected = rows(centers("expected", "certifier=center", *new))
    assert (strict["status"] == "abstained").any()
    assert (expected["status"] == "certified").all()
    words = [*new, f"results.root={tmp_path / 'new'}"]
    folder, left = reread_run(the_run(old), words)
    assert left == strict.loc[strict["status"] == "abstained", "index"].tolist()
    monkeypatch.setattr("sys.argv", ["reread", str(old.parent), *words])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "new samples; certify.py with these settings adds" in capsys.readouterr().out
    again, said = the_run(folder / "certificates.csv"), "they are no random choice. certify.py with its settings"
    assert unfinished(again).startswith(f"{folder}: {3 - len(left)} of 3 examples; it was read again without sampling")
    assert f". The other {len(left)} need new samples, as those that abstained do: {said}" in summary(again)
    path = centers("new", "certifier=center", *new)
    assert path.parent == folder
    pd.testing.assert_frame_equal(rows(path).sort_values("index", ignore_index=True), expected, check_exact=True)
    assert unfinished(the_run(path)) == ""


def test_what_an_unfinished_run_lacks_is_still_lacking_after_it_is_read_again(digits, tmp_path):
    """Also in a folder that was read again before this was recorded."""
    old = digits("old", limit=4)
    record = json.loads((old.parent / "run.json").read_text())
    assert record["asked"] == 4
    (old.parent / "run.json").write_text(json.dumps(record | {"asked": 6}))
    words = [*NEW, f"results.root={tmp_path / 'new'}"]
    folder, left = reread_run(the_run(old), words)
    assert left == []
    again = the_run(folder / "run.json")
    assert unfinished(again).startswith(f"{folder}: 4 of 6 examples; it was read again without sampling. The other")
    del again.record["asked"]
    (folder / "run.json").write_text(json.dumps(again.record))
    assert unfinished(the_run(folder / "run.json")) == ""
    reread_run(the_run(old), words)
    assert unfinished(the_run(folder / "run.json")).startswith(f"{folder}: 4 of 6 examples")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["certifier.n=5"], "certifier.n=5: expected one of certifier.alpha=, certifier.runner_up="),
        (["alpha=0.1"], "expected one of"),
        (["certifier.alpha"], "certifier.alpha: expected one of"),
        (["certifier.alpha=much"], "certifier.alpha: expected a number, got 'much'"),
        (["certifier.alpha=2"], "alpha"),
        (["eps=0.1"], "eps=0.1: expected one of"),
        (["certifer.alpha=0.1"], r"certifer\.alpha=0\.1: did you mean certifier\.alpha\? expected one of"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(digits, monkeypatch, capsys, words, told):
    digits("old", limit=1)
    runs = digits("old", "certifier.n=500", limit=1).parent.parent
    monkeypatch.setattr("sys.argv", ["reread", str(runs), *words])
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1"):
        main()
    out, err = capsys.readouterr()
    (line,) = err.strip().splitlines()
    assert line.startswith("reread: ")
    assert re.search(told, line)
    assert not out


def test_a_run_whose_samples_depend_on_alpha_is_refused(digits, monkeypatch, capsys, tmp_path):
    path = digits("old", "certifier=adaptive", "certifier.radius=0.1", limit=1)
    monkeypatch.setattr("sys.argv", ["reread", str(path.parent), "certifier.alpha=0.1"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "rows of Adaptive cannot be read again; certify the examples again" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["reread", str(tmp_path / "nowhere"), "certifier.alpha=0.1"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "no run.json here or below" in capsys.readouterr().err


def test_runs_that_cannot_be_read_again_are_named_and_left_out(monkeypatch, capsys, tmp_path):
    """The command of the README, on the committed results: attacks and predictions among certificates."""
    before = {tmp_path / "old" / path.relative_to(RESULTS): path.read_bytes() for path in committed_files(RESULTS)}
    for path, content in before.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folders = {path.parent for path in before if path.name == "run.json"}
    attacks = sum(folder.name.startswith("attack-") for folder in folders)
    monkeypatch.setattr(
        "sys.argv", ["reread", f"{tmp_path}/old", "certifier.alpha=0.01", f"results.root={tmp_path}/new"]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    out, err = capsys.readouterr()
    *named, count = err.strip().splitlines()
    assert all("rows of Attack cannot be read again" in line for line in named)
    assert (len(named), count) == (attacks, f"reread: {attacks} of {len(folders)} runs left out")
    assert len(find_runs(tmp_path / "new")) == len(folders) - attacks > attacks > 0
    assert "example 11 needs new samples; certify.py with these settings adds them" in out
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_run_among_others_is_an_error(centers, monkeypatch, tmp_path, capsys):
    runs = centers("old", "certifier=center", "certifier.delta=0.3", "eps=0.02").parent.parent
    other = centers("old", "certifier=center", "certifier.delta=0.3", "certifier.n=200", "eps=0.02").parent
    (other / "draws" / "0.npz").write_bytes(b"PK")
    monkeypatch.setattr("sys.argv", ["reread", str(runs), "eps=0.03", f"results.root={tmp_path / 'new'}"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "0.npz: damaged draws" in capsys.readouterr().err


def test_examples_that_need_new_samples_are_named():
    assert _needs_samples([3, 5]).startswith("examples 3, 5 (2) need new samples; ")
    assert _needs_samples(list(range(11))).startswith("examples 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (11) need")
