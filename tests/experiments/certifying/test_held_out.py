"""Calibration examples: drawn at random, never certified, kept in calibration.csv; runs resume and shards agree."""

import json
import os
from dataclasses import replace

import pandas as pd
import pytest
import torch

from experiments.certifying import held_out as module
from experiments.certifying.certification import certify, choose_examples
from experiments.certifying.held_out import held_out
from experiments.data import Digits
from experiments.reread import reread_run
from experiments.runs.reader import find_runs
from experiments.training.base_function import new_model
from smoothing import ConformalSets, Gaussian, SettingError, SmoothingError
from smoothing.conformal_guarantee import threshold

QUICK = ("experiment=digits_conformal", "certifier.n=64", "certifier.held_out=40", "eps=[0.0,0.1]", "limit=25")


@pytest.fixture(scope="module")
def certified(settings, tmp_path_factory):
    """Certify a few digits with a network that has learned nothing: certified(root, "seed=1") -> the run's folder."""
    folder = tmp_path_factory.mktemp("weights")

    def run(root, *overrides):
        chosen = settings(*QUICK, "device=cpu", "batch_size=64", f"results.root={root}", *overrides)
        return certify(replace(chosen, checkpoint=str(weights(folder, chosen)), allow_mismatch=True)).parent

    return run


def weights(folder, chosen):
    path = folder / "weights.pth"
    if not path.exists():
        torch.save(new_model(chosen, chosen.dataset.build()).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def once(certified, tmp_path_factory):
    return certified(tmp_path_factory.mktemp("once"))


def rows(folder, name="certificates"):
    parts = [pd.read_csv(path) for path in sorted(folder.glob(f"{name}*.csv"))]
    table = pd.concat(parts).drop_duplicates(subset=["index", "eps_in"] if name == "certificates" else ["index"])
    return table.drop(columns="seconds", errors="ignore").sort_values(list(table)[:3]).reset_index(drop=True)


def test_calibration_examples_are_a_random_part(settings):
    dataset = settings("experiment=digits_conformal").dataset.build()
    certifier = ConformalSets(lambda x: x, Gaussian(0.5), held_out=250)
    first, again, other = (held_out(certifier, dataset, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) == 250
    assert abs(sum(index < 250 for index in first) - 125) < 30  # not the first ones, nor the last
    assert 100 < len(set(first) & set(other)) < 150
    with pytest.raises(SettingError, match=r"certifier\.held_out: expected fewer than the 500 examples"):
        held_out(ConformalSets(lambda x: x, Gaussian(0.5), held_out=500), dataset, 0)
    faces = settings("experiment=faces_jaccard").dataset.build()
    with pytest.raises(SettingError, match="dataset: expected labels, to calibrate on, and Faces has none"):
        held_out(certifier, faces, 0)


def test_a_calibration_example_that_has_changed_is_refused(certified, tmp_path, monkeypatch):
    held = rows(certified(tmp_path), "calibration")["index"]
    read = Digits.__getitem__
    index = sorted(held)[len(held) // 2]
    monkeypatch.setattr(Digits, "__getitem__", lambda self, k: read(self, k) * (0.5 if k == index else 1))
    with pytest.raises(SmoothingError, match=rf"example {index} of the data set has changed"):
        certified(tmp_path)


def test_a_calibration_example_that_is_another_each_time_is_refused(certified, tmp_path, monkeypatch):
    index = sorted(rows(certified(tmp_path / "fixed"), "calibration")["index"])[20]
    read = Digits.__getitem__
    monkeypatch.setattr(Digits, "__getitem__", lambda self, k: read(self, k) * (torch.rand(()) if k == index else 1))
    with pytest.raises(SettingError, match=rf"dataset: example {index} differs each time that it is read"):
        certified(tmp_path / "other")
    assert index not in rows(next(tmp_path.glob("other/*/*")), "calibration")["index"].tolist()


def test_no_calibration_example_is_certified(settings, once):
    held = set(rows(once, "calibration")["index"])
    assert len(held) == 40
    certified = set(rows(once)["index"])
    assert not held & certified
    assert len(certified) == 25
    assert min(held) < max(certified)  # so one was in the way
    chosen = settings(*QUICK)
    dataset = chosen.dataset.build()
    everything = choose_examples(dataset, replace(chosen, limit=None), sorted(held))
    assert sorted({*everything, *held}) == dataset.indices()
    assert len(everything) == 460
    with pytest.raises(SettingError, match=r"indices: example .* calibrates the certifier"):
        choose_examples(dataset, replace(chosen, indices=[1, *sorted(held)[:1]]), sorted(held))


def test_rows_are_of_the_examples_own_classes(settings, once):
    chosen = settings(*QUICK)
    dataset = chosen.dataset.build()
    model = new_model(chosen, dataset)
    model.load_state_dict(torch.load(json.loads((once / "run.json").read_text())["config"]["checkpoint"]))
    g = ConformalSets(model.eval(), Gaussian(0.25, grid=16), n=64, held_out=40, batch_size=64)
    for row in rows(once, "calibration").head(5).itertuples(index=False):
        assert row.label == dataset.label(row.index)
        score = g.engine.run(g.calibrating(dataset[row.index], row.index, row.label)).score
        assert row.score == pytest.approx(score)


def test_the_threshold_is_that_of_the_rows(once):
    scores = rows(once, "calibration")["score"].to_numpy()
    assert set(rows(once)["tau"]) == {threshold(scores, 0.09)}


def test_a_run_resumes(certified, once, tmp_path, monkeypatch, capsys):
    """It stops after seven calibration examples, and after one certified example."""
    stops = []

    def stop():
        stops.append(None)
        if len(stops) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "stop_if_asked", stop)
    with pytest.raises(KeyboardInterrupt):
        certified(tmp_path)
    (folder,) = (tmp_path / "digits_conformal").iterdir()
    path = folder / "calibration.csv"
    assert len(pd.read_csv(path)) == 7
    os.truncate(path, path.stat().st_size - 5)  # a torn last line
    monkeypatch.undo()
    capsys.readouterr()
    assert certified(tmp_path, "limit=1") == folder
    assert "calibrating on 34 examples" in capsys.readouterr().err
    done = path.read_text()
    certified(tmp_path)
    assert "calibrating" not in capsys.readouterr().err
    assert path.read_text() == done
    for name in ("certificates", "calibration"):
        pd.testing.assert_frame_equal(rows(folder, name), rows(once, name))


def test_shards_calibrate_alike(certified, once, tmp_path):
    for index in (0, 1):
        folder = certified(tmp_path, "shard.count=2", f"shard.index={index}")
    assert len(list(folder.glob("calibration.*-of-2.csv"))) == 2
    for name in ("certificates", "calibration"):
        pd.testing.assert_frame_equal(rows(folder, name), rows(once, name))


def test_sets_for_other_radii_are_read_from_the_draws(certified, once, tmp_path):
    (run,) = find_runs(once)
    folder, left = reread_run(run, ["eps=[0.05]", f"results.root={tmp_path}"])
    assert not left
    new = certified(tmp_path / "anew", "eps=[0.05]")
    pd.testing.assert_frame_equal(rows(folder), rows(new))
