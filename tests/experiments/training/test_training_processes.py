"""Training in processes of its own: several have the losses of one, a killed one resumes, float32 is not TF32."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from experiments.training import loop, step_noise
from experiments.training.trainer import Purpose, Trainer
from smoothing import Gaussian
from smoothing.streams import BlockSource

ROOT = Path(__file__).parents[3]
QUICK = ("trainer.epochs=3", "trainer.lr_step=2", "device=cpu")


def log(folder):
    with (folder / "training.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def weights(folder):
    return json.loads((folder / "checkpoint.json").read_text())["weights"]


def test_each_process_takes_its_slice_of_the_same_batch():
    key = Trainer(1, 8, 0.1, 1).key(Purpose.NOISE, 2, 3)
    x = torch.rand(8, 1, 4, 4)
    whole = step_noise._noisy(x, Gaussian(0.3), BlockSource(key, torch.device("cpu")), 8, slice(0, 8))
    for mine in (slice(0, 2), slice(2, 4), slice(4, 8)):
        part = step_noise._noisy(x[mine], Gaussian(0.3), BlockSource(key, torch.device("cpu")), 8, mine)
        assert torch.equal(part, whole[mine])
    assert not torch.equal(whole[:2] - x[:2], whole[2:4] - x[2:4])


def command(root, *overrides):
    return [sys.executable, str(ROOT / "train.py"), *QUICK, f"checkpoints.root={root}", *overrides]


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path):
    for devices in (1, 2):
        root = tmp_path / str(devices)
        subprocess.run(command(root, f"trainer.devices={devices}"), check=True, env=ONE_THREAD, cwd=tmp_path)
    (one,), (two,) = ((tmp_path / str(devices)).glob("Digits*") for devices in (1, 2))
    assert one.name == two.name
    assert json.loads((two / "checkpoint.json").read_text())["processes"] == 2
    for alone, together in zip(log(one), log(two), strict=True):
        assert float(together["loss"]) == pytest.approx(float(alone["loss"]), rel=5e-6)
        assert float(together["accuracy"]) == pytest.approx(float(alone["accuracy"]), abs=1e-3)
    first, second = (load_file(folder / "weights.safetensors") for folder in (one, two))
    assert all(torch.allclose(first[name], second[name], rtol=0, atol=1e-4) for name in first)


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_losses(tmp_path):
    more = ("trainer.epochs=30", "trainer.lr_step=10")
    subprocess.run(command(tmp_path / "whole", *more), check=True, env=ONE_THREAD, cwd=tmp_path)
    process = subprocess.Popen(command(tmp_path / "killed", *more), env=ONE_THREAD, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("killed/*/resume.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (killed,), (whole,) = tmp_path.glob("killed/Digits*"), tmp_path.glob("whole/Digits*")
    assert not (killed / "checkpoint.json").exists()
    assert 1 <= len(log(killed)) < 30
    done = subprocess.run(
        command(tmp_path / "killed", *more), check=True, env=ONE_THREAD, cwd=tmp_path, capture_output=True, text=True
    )
    assert "epoch 1/30" not in done.stdout
    assert log(killed) == log(whole)
    assert weights(killed) == weights(whole)


@pytest.mark.parametrize("interface", ["old", "new"])
def test_float32_is_not_tf32(trained, monkeypatch, request, interface):
    """By default CUDA computes float32 convolutions in TF32. Training turns this off, and restores it afterwards.

    After its new interface was used, torch's old one raises.
    """
    seen = []
    judge, products = Trainer.judge, loop.float32_products
    convolutions = torch.backends.cudnn.conv

    def judged(self, *given):
        seen.append((torch.backends.cuda.matmul.fp32_precision, convolutions.fp32_precision))
        return judge(self, *given)

    monkeypatch.setattr(Trainer, "judge", judged)
    monkeypatch.setattr(loop, "float32_products", lambda device: products(torch.device("cuda")))
    if interface == "old":
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    else:
        request.addfinalizer(partial(setattr, convolutions, "fp32_precision", convolutions.fp32_precision))
        convolutions.fp32_precision = "tf32"
    trained("trainer.epochs=1")
    assert len(set(seen)) == 1
    assert "tf32" not in seen[0]
    assert convolutions.fp32_precision == "tf32"
