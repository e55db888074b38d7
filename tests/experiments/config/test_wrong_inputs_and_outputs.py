"""Runs with an invalid network or data set of the user: one line, and no false row."""

from dataclasses import replace

import pandas as pd
import pytest

from experiments.certifying import certification
from experiments.config.check import checked_group
from experiments.config.identity import identity
from experiments.config.settings import Group
from smoothing import BaseFunctionError, SettingError

pytestmark = pytest.mark.long

OWN = '''
import torch
from torch import nn
from experiments.data import Digits


class Constant(nn.Module):
    """The same scores for every image."""

    pretrained = True

    def __init__(self, classes: int = 10, value: float = 0.0) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.full((classes,), value))

    def forward(self, images):
        return self.scores.expand(len(images), -1)


class Bytes(Digits):
    """Digits that were not divided by 16."""

    def __getitem__(self, index):
        return (super().__getitem__(index) * 255).round()


class Pairs(Digits):
    def __getitem__(self, index):
        return super().__getitem__(index).numpy().astype("float64"), self.label(index)


class Integers(Digits):
    def __getitem__(self, index):
        return (super().__getitem__(index) * 255).byte()


class Holes(Digits):
    def __getitem__(self, index):
        return super().__getitem__(index) * float("nan")
'''


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    (tmp_path / "users_own_edge.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)

    def certified(*overrides, dataset=None, **model):
        plain = settings(
            *("experiment=digits_gaussian", "device=cpu", "limit=3", f"results.root={tmp_path}", *overrides)
        )
        node = {"_target_": "users_own_edge.Constant"} | model
        plain = replace(plain, model=checked_group("model", node), trainer=None)
        if dataset:
            plain = replace(plain, dataset=Group(f"users_own_edge.{dataset}", plain.dataset.arguments))
        return certification.certify(plain)

    return certified


CERTIFIERS = [
    ("certifier.n=100",),
    ("certifier=predict", "certifier.n=100"),
    ("certifier=adaptive", "certifier.n=500", "certifier.radius=0.1"),
    ("certifier=exact", "noise=dssn", "noise.sigma=0.5"),
]


@pytest.mark.parametrize("certifier", CERTIFIERS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("classes", "message"), [(1, "at least two classes"), (9, r"scores of 10 classes, \(b, 10\), got")]
)
def test_too_few_scores_are_refused(run, certifier, classes, message, tmp_path):
    with pytest.raises(BaseFunctionError, match=message):
        run(*certifier, classes=classes)
    assert all(len(path.read_text().splitlines()) == 1 for path in tmp_path.rglob("certificates.csv"))


@pytest.mark.parametrize("certifier", CERTIFIERS, ids=lambda words: words[0])
def test_more_scores_are_warned_of_in_one_line(run, certifier, capsys):
    assert len(pd.read_csv(run(*certifier, classes=12))) == 3
    err = capsys.readouterr().err
    assert err.count("it has 12 scores and there are 10 classes") == 1
    assert "Warning" not in err


@pytest.mark.parametrize("certifier", CERTIFIERS, ids=lambda words: words[0])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_scores_of_no_class_are_never_correct(run, certifier, value):
    table = pd.read_csv(run(*certifier, "indices=[0,1,10,20]", "limit=null", value=float(value)))
    assert not table["correct"].any()
    assert (table["predict"] == -1).all()
    assert set(table["status"]) == {"failed" if "exact" in certifier[0] else "abstained"}
    assert table["reason"].str.contains("NaN or infinite").all()
    assert (table["radius"] == 0).all() if "radius" in table else True


def test_pixels_that_nobody_divided_are_warned_of_once(run, capsys):
    run("certifier.n=100", "noise.grid=0", dataset="Bytes")
    err = capsys.readouterr().err
    assert err.count("divide x by 255") == 1
    assert "Warning" not in err
    run("certifier.n=100")
    assert "divide x by" not in capsys.readouterr().err


def test_pairs_and_arrays_are_taken(run):
    expected = pd.read_csv(run("certifier.n=100")).drop(columns="seconds")
    found = pd.read_csv(run("certifier.n=100", dataset="Pairs")).drop(columns="seconds")
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(("dataset", "message"), [("Integers", "divide bytes by 255"), ("Holes", "NaN or infinite")])
def test_what_is_no_input_is_refused(run, dataset, message):
    with pytest.raises(SettingError, match=message):
        run("certifier.n=100", dataset=dataset)


def test_the_number_of_classes_is_no_setting_and_no_identity(settings, run, tmp_path):
    plain = settings("experiment=digits_gaussian")
    assert "num_classes" not in plain.certifier.arguments
    assert "num_classes" not in str(identity(plain, ""))
    with pytest.raises(SettingError, match="num_classes"):
        checked_group("certifier", {"_target_": "smoothing.Certify", "num_classes": 3})
