"""Runs of Certify, Predict and Attack on a briefly trained network for digits."""

import pandas as pd
import pytest

from experiments.certifying import certification
from experiments.training import loop
from smoothing import Attack, Certify, Predict, SettingError

COMMON = ("experiment=digits_gaussian", "trainer.epochs=3", "device=cpu", "limit=6")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture
def run(settings, checkpoints, tmp_path):
    def certified(*overrides):
        plain = settings(*COMMON, f"checkpoints.root={checkpoints}", f"results.root={tmp_path}", *overrides)
        if not any(checkpoints.rglob("checkpoint.json")):
            loop.train(plain)
        return certification.certify(plain)

    return certified


def test_certify(run, capsys):
    path = run("certifier.n=1000")
    assert "the largest radius that n=1000 at alpha=0.001 can certify: 0.615" in capsys.readouterr().out
    table = pd.read_csv(path)
    assert tuple(table.columns) == Certify.columns
    assert table["index"].tolist() == [0, 1, 2, 3, 4, 5]
    assert (table["correct"] == (table["predict"] == table["label"])).all()
    certified = table[table["status"] == "certified"]
    assert len(certified) > 0
    assert (certified["radius"] > 0).all()
    assert (certified["n_a"] + certified["n_b"] <= 1000).all()
    assert (table[table["status"] == "abstained"]["predict"] == -1).all()


def test_a_run_continues(run):
    whole = run("certifier.n=500").read_text().splitlines()
    path = run("certifier.n=500")
    path.write_text("\n".join(whole[:3]) + "\n" + whole[3][:10])
    again = pd.read_csv(run("certifier.n=500")).drop(columns="seconds")
    path.write_text("\n".join(whole) + "\n")
    pd.testing.assert_frame_equal(again, pd.read_csv(path).drop(columns="seconds"))


def test_predict(run):
    table = pd.read_csv(run("certifier=predict", "certifier.n=200"))
    assert tuple(table.columns) == Predict.columns
    assert set(table["status"]) <= {"predicted", "abstained"}
    assert (table["n_a"] >= table["n_b"]).all()


def test_attack(run):
    path = run("certifier=attack", "certifier.n=300", "certifier.samples=32", "certifier.steps=3", "limit=3")
    table = pd.read_csv(path)
    assert tuple(table.columns) == Attack.columns
    assert table["factor"].tolist() == [1.0, 1.5, 2.0] * 3
    assert not table.query("factor == 1")["success"].any()


def test_a_metric_plays_no_part(run):
    assert run("certifier.n=100", "metric=l2") == run("certifier.n=100")


def test_center_smoothing_needs_a_metric(run):
    with pytest.raises(SettingError, match="metric: CenterSmoothing needs a metric"):
        run("certifier=center")


def test_photographs_have_no_labels(settings, tmp_path):
    with pytest.raises(SettingError, match="no labels"):
        certification.certify(settings(*COMMON, "dataset=faces", f"results.root={tmp_path}"))
