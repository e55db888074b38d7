"""The certification run on real detections at a small scale: the contract of rows, resume, shards, batch sizes."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from experiments.certifying import certification
from experiments.data import Faces
from experiments.runs.reader import find_runs
from experiments.runs.run_folder import load_draws
from smoothing import (
    BaseFunctionError,
    CenterSettings,
    CenterSmoothing,
    Gaussian,
    Jaccard,
    SettingError,
    SmoothingError,
    certificate,
)

ROOT = Path(__file__).parents[3]
SMALL = (
    "seed=1",
    "certifier.n=80",
    "certifier.m=60",
    "certifier.delta=0.3",
    "eps=[0.02,0.05]",
    "model.min_face_size=34",
)
CONTRACT = "index,eps_in,eps_out,smoothing_error,center_radius,distance_quantile,n,m,status,seconds"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three photographs, scaled down so that a certificate takes half a second."""
    folder = tmp_path_factory.mktemp("photographs")
    for index in (0, 2, 3):
        pixels = torch.nn.functional.interpolate(Faces()[index][None], size=(72, 60), mode="area")[0]
        Image.fromarray((pixels * 255).byte().permute(1, 2, 0).numpy()).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def certified(settings, photographs):
    """Certify the photographs into a folder: certified(root, "limit=2") -> the table's path."""

    def certify(root, *overrides):
        folder = ("dataset=folder", f"dataset.root={photographs}", f"results.root={root}")
        return certification.certify(settings(*folder, *SMALL, "limit=null", *overrides))

    return certify


@pytest.fixture
def run(certified, tmp_path):
    """run("limit=2") certifies the photographs and returns the table's path."""
    return lambda *overrides, root=tmp_path / "results": certified(root, *overrides)


@pytest.fixture(scope="module")
def once(certified, tmp_path_factory):
    """The results of all three photographs, certified once; not to be changed."""
    return certified(tmp_path_factory.mktemp("once"))


@pytest.fixture
def finished(once, tmp_path):
    """The table of such a run, of a copy that `run` continues."""
    results = once.parents[2]
    shutil.copytree(results, tmp_path / "results", dirs_exist_ok=True)
    return tmp_path / "results" / once.relative_to(results)


def without_seconds(path):
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_rows_by_contract(once):
    lines = once.read_text().splitlines()
    assert lines[0].startswith(CONTRACT + ",")
    assert lines[0] == ",".join(CenterSmoothing.columns)
    table = pd.read_csv(once)
    assert table["index"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["eps_in"].tolist() == [0.02, 0.05] * 3
    assert set(table["status"]) <= {"certified", "abstained", "failed"}
    certified = table[table["status"] == "certified"]
    assert len(certified) == 6
    assert (certified["failure_probability"] == 0.01).all()
    assert (certified["eps_out"] >= 3 * certified["distance_quantile"]).all()


def test_an_unreadable_image_is_found_before_anything_is_sampled_or_written(run, photographs, tmp_path, capsys):
    for path in photographs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(content[: len(content) // 2])
    damaged = (f"dataset.root={tmp_path}", "dataset.size=64")
    with pytest.raises(SmoothingError, match=r"3\.png: not a readable image .*dataset\.unreadable=skip"):
        run(*damaged)
    assert not (tmp_path / "results").exists()
    table = pd.read_csv(run(*damaged, "dataset.unreadable=skip", "indices=[2,1]"))
    assert table["index"].tolist() == [1, 1]
    assert "3.png" in capsys.readouterr().err


def test_rows_can_be_recomputed_from_the_draws_without_the_model(once):
    path = once
    for row in pd.read_csv(path, keep_default_na=False).itertuples():
        draws, seconds = load_draws(path.parent / "draws" / f"{row[1]}.npz")
        settings = CenterSettings("exact", 0.3, 0.005, 0.005)
        again = certificate(draws, row.eps_in, Gaussian(0.1), Jaccard(), settings)
        assert (again.eps_out, again.status, again.order_statistic) == (row.eps_out, row.status, row.order_statistic)
        assert again.smoothing_error == row.smoothing_error
        assert seconds == pytest.approx(row.seconds, abs=1e-3)


def test_run_json(once):
    record = json.loads((once.parent / "run.json").read_text())
    assert record["identity"]["noise"] == {"type": "Gaussian", "sigma": 0.1}
    assert record["config"]["certifier"]["n"] == 80
    assert {"seed", "device", "commit", "dirty", "versions", "started", "ended"} <= record.keys()
    assert record["started"] <= record["ended"]
    assert record["versions"]["torch"].startswith("2.")


def test_a_finished_run_is_left_alone(run, finished, monkeypatch):
    path = finished
    before, record = path.read_bytes(), (path.parent / "run.json").read_bytes()
    monkeypatch.setattr("smoothing.CenterSmoothing.drawing", None)
    assert run() == path
    assert path.read_bytes() == before
    assert (path.parent / "run.json").read_bytes() == record


def test_another_eps_is_read_off_the_same_draws(run, finished, monkeypatch):
    monkeypatch.setattr("smoothing.CenterSmoothing.drawing", None)
    assert run("eps=[0.01,0.05]") == finished
    table = pd.read_csv(finished)
    assert sorted(set(table["eps_in"])) == [0.01, 0.02, 0.05]
    assert len(table) == 9


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_last_line_is_written_again(run, finished, cut):
    whole = finished.read_text()
    finished.write_text(whole[:-cut])
    assert run().read_text() == whole


def test_an_interrupted_run_continues(run, once, tmp_path, monkeypatch):
    save = certification.RunFolder.save

    def save_then_stop(self, index, draws, seconds):
        if index == 1:
            raise KeyboardInterrupt
        save(self, index, draws, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(certification.RunFolder, "save", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            run(root=tmp_path / "broken")
    path = run(root=tmp_path / "broken")
    assert without_seconds(path) == without_seconds(once)
    record = json.loads((path.parent / "run.json").read_text())
    assert len(record["resumed"]) == 1
    assert record["ended"] is not None


@pytest.mark.slow
def test_a_killed_process_continues(python, at_once, photographs, tmp_path):
    """After kill -9 in the middle, twice, the finished table equals that of an uninterrupted run."""

    def overrides(root):
        return ["dataset=folder", f"dataset.root={photographs}", f"results.root={root}", "limit=null", *SMALL]

    def holder():
        """The fork that runs the command, which `process` waits for; 0 before it has written its lock."""
        (lock,) = (tmp_path / "killed").rglob("*.lock")
        return json.loads(lock.read_text() or '{"pid": 0}')["pid"]

    assert not python("certify.py", *overrides(tmp_path / "whole"), "device=cpu").returncode
    dead = [0]
    for kill_after in (1, 2):
        process = subprocess.Popen(
            ["python", str(ROOT / "certify.py"), *overrides(tmp_path / "killed"), "device=cpu"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=at_once,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if len(list((tmp_path / "killed").rglob("*.npz"))) >= kill_after and holder() not in dead:
                dead.append(holder())
                os.kill(dead[-1], signal.SIGKILL)
            time.sleep(0.005)
        assert process.wait(timeout=60) == 137  # no exit code
    assert not python("certify.py", *overrides(tmp_path / "killed"), "device=cpu").returncode
    (whole,), (killed,) = ((tmp_path / name).rglob("certificates.csv") for name in ("whole", "killed"))
    assert without_seconds(killed) == without_seconds(whole)


@pytest.mark.slow
def test_batch_sizes_give_the_same_certificates(run, tmp_path):
    """The samples are the same. f rounds differently in another batch shape, by about 1e-5 pixels for boxes 20 or more
    pixels wide, so distances differ by about 1e-6 and radii by three times that."""
    small, large = (pd.read_csv(run(f"batch_size={size}", root=tmp_path / str(size))) for size in (7, 64))
    assert small["status"].tolist() == large["status"].tolist()
    assert small["eps_out"].tolist() == pytest.approx(large["eps_out"].tolist(), abs=1e-5)
    assert small["smoothing_error"].tolist() == pytest.approx(large["smoothing_error"].tolist(), abs=1e-5)


def test_shards_together_are_the_whole_run(run, once, tmp_path):
    for index in (1, 0):
        part = run("shard.count=2", f"shard.index={index}", root=tmp_path / "parts")
        assert part.name == f"certificates.{index}-of-2.csv"
    (one,), (two,) = find_runs(once.parent), find_runs(tmp_path / "parts")
    pd.testing.assert_frame_equal(one.table.drop(columns="seconds"), two.table.drop(columns="seconds"))
    assert once.parent.name == part.parent.name
    with pytest.raises(SmoothingError, match=r"shard\.index"):
        run("shard.count=2", "shard.index=2")


def test_indices_and_limit_choose_examples(run):
    assert pd.read_csv(run("indices=[2,1,2]", "limit=1"))["index"].unique().tolist() == [2]
    assert pd.read_csv(run("indices=[2,1,2]"))["index"].unique().tolist() == [2, 1]


def test_an_example_is_certified_alike_alone_and_among_others(run, once):
    assert without_seconds(run("indices=[2]")) == [row for row in without_seconds(once) if row["index"] == "2"]


def test_another_identity_in_the_folder_is_refused(run, finished):
    path = finished
    record = json.loads((path.parent / "run.json").read_text())
    record["identity"]["noise"]["sigma"] = 0.3
    record["identity"]["seed"] = 5
    (path.parent / "run.json").write_text(json.dumps(record))
    with pytest.raises(SmoothingError, match=r"differs in noise\.sigma, seed"):
        run("limit=2")


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("device=cudda", SettingError, "device"),
        ("limit=0", SettingError, "limit"),
        ("indices=[99]", SettingError, "indices: .*0 to 2"),
        ("eps=-0.1", SettingError, "eps"),
        ("eps=[]", SettingError, "eps"),
        ("batch_size=0", SettingError, "batch_size"),
        ("certifier.m=3", SettingError, r"certifier\.m: 3 samples can never certify"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(run, tmp_path, override, error, message):
    with pytest.raises(error, match=message):
        run(override)
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_without_cuda(run):
    with pytest.raises(SettingError, match="device=cpu"):
        run("device=cuda")


def test_a_model_in_training_mode_stops_the_run(run, monkeypatch):
    monkeypatch.setattr("models.face_detector.FaceDetector.eval", lambda self: self)
    with pytest.raises(BaseFunctionError, match="training mode"):
        run("limit=1")
