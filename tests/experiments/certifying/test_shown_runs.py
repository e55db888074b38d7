"""What a run shows and counts: unfinished runs, files and classes of examples, warnings, abstentions, empty outputs."""

import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from experiments.certifying.certification import certify, one_line_warnings
from experiments.certifying.rows import is_correct
from experiments.data import Digits
from experiments.papers.kumar2021.faces import _without_face
from experiments.papers.yours import Compare
from experiments.report.figure import drawings
from experiments.report.sources import Source
from experiments.report.terminal import summary, terminal_table
from experiments.runs.examples import read_examples
from experiments.runs.reader import find_runs, unfinished
from experiments.runs.table import Schema, TableWriter
from smoothing import CenterSmoothing, SettingError, SmoothingError

MEAN = """
import torch


class Mean(torch.nn.Module):
    pretrained = True

    def forward(self, x):
        return x.mean(dim=(1, 2, 3))[:, None].expand(-1, 10)
"""


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """run(...) certifies a model of digits and returns the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mean_of_pixels.py").write_text(MEAN)
    small = ("certifier.n=200", "certifier.m=100", "certifier.delta=0.2", "eps=0.1", "device=cpu", "batch_size=50")
    model = ("dataset=digits", "~model.min_face_size", "model._target_=mean_of_pixels.Mean", "metric=l2")

    def certified(*more):
        return certify(settings("experiment=demo", *small, *model, "results.root=r", *more)).parent

    yield certified
    sys.modules.pop("mean_of_pixels", None)


def test_a_run_with_rows_of_some_examples_is_not_shown_as_finished(run, tmp_path, capsys):
    folder = run("limit=5", "shard.count=2", "shard.index=0")
    (stored,) = find_runs(folder)
    left = f"{folder}: 3 of 5 examples; run its command again for each shard to finish"
    assert unfinished(stored) == left
    assert f"  unfinished: {left}\n" in summary(stored)
    (drawn,) = drawings("compare", Compare(), Path("r"), [Source("", folder)], tmp_path / "figures")
    assert left in drawn.drawing.notes
    run("limit=5", "shard.count=2", "shard.index=1")
    (stored,) = find_runs(folder)
    assert unfinished(stored) == ""
    assert "unfinished" not in summary(stored)
    run("limit=7", "shard.count=2", "shard.index=1")
    assert unfinished(find_runs(folder)[0]).startswith(f"{folder}: 6 of 7 examples")


def test_a_run_stays_unfinished_if_a_later_command_asks_for_fewer(run):
    folder = run("limit=5")
    lines = (folder / "certificates.csv").read_text().splitlines(keepends=True)
    (folder / "certificates.csv").write_text("".join(lines[:3]))  # stopped after two
    run("limit=2")
    assert unfinished(find_runs(folder)[0]) == f"{folder}: 2 of 5 examples; run its command again to finish"
    run("limit=3")
    left = f"{folder}: 3 of 5 examples, and a later command asked for 3 only; run the one for all of them again to"
    assert unfinished(find_runs(folder)[0]) == f"{left} finish"
    run("limit=5")
    assert unfinished(find_runs(folder)[0]) == ""


def test_a_shard_stays_unfinished_if_a_later_command_asks_for_fewer(run):
    folder = run("limit=5", "shard.count=2", "shard.index=0")
    run("limit=4", "shard.count=2", "shard.index=1")
    assert unfinished(find_runs(folder)[0]) == "", "all 5 are there"
    run("limit=9", "shard.count=2", "shard.index=0")
    run("limit=6", "shard.count=2", "shard.index=1")
    assert unfinished(find_runs(folder)[0]).startswith(f"{folder}: 8 of 9 examples, and a later command asked for 6")
    run("limit=9")
    assert unfinished(find_runs(folder)[0]) == ""


def test_a_label_that_is_no_class_is_refused(run, monkeypatch):
    monkeypatch.setattr(Digits, "label", lambda self, index: -1)
    with pytest.raises(SettingError, match=r"dataset: example \d+ has label -1, expected a whole number from 0 to 9"):
        run("limit=1")


def test_examples_say_which_is_which(run):
    folder = run("limit=3", "shard.count=2", "shard.index=1")
    assert (folder / "examples.1-of-2.csv").exists()
    run("limit=3", "shard.count=2", "shard.index=0")
    examples, dataset = read_examples(folder), Digits()
    assert list(examples["index"]) == sorted(dataset.indices()[:3])
    assert [dataset.label(index) for index in examples["index"]] == list(examples["label"])
    assert list(examples.columns) == ["index", "file", "label", "class", "input"]


def test_the_file_and_the_class_are_shown(run, monkeypatch):
    monkeypatch.setattr(Digits, "file", lambda self, index: f"photo {index}.png")
    made = Digits.__init__

    def named(self, *given, **more):
        made(self, *given, **more)
        self.classes = [f"digit-{k}" for k in range(10)]

    monkeypatch.setattr(Digits, "__init__", named)
    folder = run("limit=1", "certifier=certify", "~certifier.m", "~certifier.delta", "~metric", "certifier.n=200")
    shown = terminal_table(folder)
    assert "photo" in shown
    assert "digit-" in shown


def test_warnings_are_one_line_each_and_once(capsys):
    with one_line_warnings():
        for _ in range(3):
            warnings.warn("far outside\n[0, 1]", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: far outside [0, 1]\n"


@pytest.mark.parametrize("status", ["certified", "predicted", "misclassified", "abstained", "failed"])
@pytest.mark.parametrize("prediction", [-1, 3])
@pytest.mark.parametrize("label", [-1, 3])
def test_what_abstained_or_failed_is_never_correct(status, prediction, label):
    right = status in ("certified", "predicted", "misclassified") and prediction == label == 3
    assert is_correct(SimpleNamespace(status=status, prediction=prediction), label) == right


def test_photographs_without_a_face_are_counted_in_the_figure():
    table = pd.DataFrame({"index": [0, 0, 1], "empty": [True, True, False]})
    run = SimpleNamespace(table=table, identity={"noise": {"sigma": 0.1}})
    before = SimpleNamespace(table=table.drop(columns="empty"), identity=run.identity)
    assert _without_face([run, before]) == ["sigma = 0.1: 1 of 2: no face"]


def test_a_table_without_the_younger_column_is_continued_in_its_own(tmp_path):
    path = tmp_path / "certificates.csv"
    old = CenterSmoothing.columns[:-1]
    row = dict.fromkeys(CenterSmoothing.columns, 0) | {"index": 1, "eps_in": 0.1, "empty": True}
    pd.DataFrame([row])[list(old)].to_csv(path, index=False)
    with TableWriter(path, Schema.of(CenterSmoothing)) as table:
        assert table.done == {(1.0, 0.1)}
        table.write([row | {"index": 2}])
    assert tuple(pd.read_csv(path).columns) == old
    assert len(pd.read_csv(path)) == 2
    pd.DataFrame([row])[list(old[:-1])].to_csv(path, index=False)
    with pytest.raises(SmoothingError, match="expected the columns"), TableWriter(path, Schema.of(CenterSmoothing)):
        pass
