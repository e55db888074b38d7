"""Training of autoencoders and reconstructors. Certification adds noise to the same inputs as training."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from experiments.certifying import certification
from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.data import Digits
from experiments.runs.run_folder import load_draws
from experiments.training import checkpoints, loop, step_noise
from experiments.training.autoencoder_trainer import AutoencoderTrainer
from experiments.training.base_function import build_base_function
from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Purpose
from models.autoencoder import Autoencoder
from models.reconstructor import Reconstructor
from smoothing import Gaussian, SettingError
from smoothing.streams import BlockSource

ROOT = Path(__file__).parents[3]
QUICK = ("experiment=digits_tvd", "trainer.epochs=3", "device=cpu")
MEASURED = ("model=reconstructor", "~model.bottleneck", "++model.measurements=32")


def settings(kind, *overrides):
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return checked(compose(kind, list(overrides)), Settings)


@pytest.fixture
def trained(tmp_path):
    """Train on digits for three epochs: trained("seed=1") -> the checkpoint's folder."""

    def train(*overrides, root=tmp_path / "checkpoints"):
        return loop.train(settings("train", *QUICK, f"checkpoints.root={root}", *overrides))

    return train


def log(folder):
    with (folder / "training.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def metadata_of(folder):
    return json.loads((folder / "checkpoint.json").read_text())


def model_of(folder, *overrides):
    plain = settings("train", *QUICK, f"checkpoint={folder}", *overrides)
    return build_base_function(plain, Digits()).model.eval()


def test_the_loss_is_the_mean_squared_error_to_the_clean_image():
    x = torch.rand(4, 1, 8, 8)
    noisy = x + 0.3 * torch.randn_like(x)
    trainer, model = AutoencoderTrainer(1, 4, 0.1), Autoencoder((1, 8, 8), 16).eval()
    targets = trainer.targets(x, torch.zeros(4))
    loss, outputs = trainer.objective(model, x, targets, lambda x: noisy, 0)
    expected = (model(noisy) - x).detach().double().numpy() ** 2
    assert loss.item() == pytest.approx(expected.sum() / (4 * 64), rel=1e-5)
    assert torch.equal(outputs, model(noisy))
    assert trainer.judge(outputs, targets).tolist() == pytest.approx(expected.mean(axis=(1, 2, 3)), rel=1e-5)


@pytest.mark.parametrize("model", [(), MEASURED])
def test_a_checkpoint_says_losses_and_no_accuracy(trained, model):
    folder = trained(*model)
    rows, metadata = log(folder), metadata_of(folder)
    assert [list(row) for row in rows] == [["epoch", "loss"]] * 3
    assert float(rows[2]["loss"]) < float(rows[0]["loss"]) < 0.5
    assert repr(metadata["training_loss"]) == rows[2]["loss"]
    assert not any("accuracy" in key for key in metadata)
    assert metadata["trained_as"]["trainer"]["type"] == "AutoencoderTrainer"
    assert metadata["trained_as"]["noise"] == {"type": "Gaussian", "sigma": 0.3}
    network, x = model_of(folder, *model), Digits().testing().pixels / 16
    given = network.measure(x) if model else x
    draws = [given + 0.3 * torch.randn(given.shape, generator=torch.Generator().manual_seed(k)) for k in range(5)]
    with torch.inference_mode():
        clean, noisy = ((network(shown) - x).square().mean().item() for shown in (given, torch.cat(draws)[:500]))
    assert metadata["test_loss_clean"] == pytest.approx(clean, rel=1e-4)
    assert metadata["test_loss_under_noise"] == pytest.approx(noisy, rel=0.05)


def test_noise_is_added_to_the_measurements(trained, monkeypatch):
    """Noise of variance sigma^2 on each of the 32 numbers of A x, and no noise on the target image."""
    given, targets = [], []
    original, objective = StepNoise.__call__, AutoencoderTrainer.objective

    def spy(noise, taken):
        out = original(noise, taken)
        given.append((taken.clone(), out.clone()))
        return out

    def aim(self, model, x, images, *others):
        assert torch.equal(x, model.measure(images))
        targets.append((model.measure(images), images))
        return objective(self, model, x, images, *others)

    monkeypatch.setattr(StepNoise, "__call__", spy)
    monkeypatch.setattr(AutoencoderTrainer, "objective", aim)
    trained(*MEASURED, "trainer.epochs=1", "noise.sigma=0.5")
    assert len(given) == len(targets) == 12
    assert all(taken.shape == (100, 32) for taken, _ in given)
    assert all(torch.equal(taken, measured) for (taken, _), (measured, _) in zip(given, targets, strict=True))
    assert all(x.min() == 0 and x.max() == 1 for _, x in targets)
    noise = torch.cat([(out - taken).flatten() for taken, out in given])
    assert noise.std().item() == pytest.approx(0.5, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)


def test_each_process_takes_its_slice_of_the_same_measurements():
    key = AutoencoderTrainer(1, 8, 0.1).key(Purpose.NOISE, 2, 3)
    model, x = Reconstructor((1, 8, 8), 32), torch.rand(8, 1, 8, 8)
    whole = step_noise._noisy(model.measure(x), Gaussian(0.3), BlockSource(key, torch.device("cpu")), 8, slice(0, 8))
    for mine in (slice(0, 4), slice(4, 8)):
        part = step_noise._noisy(model.measure(x[mine]), Gaussian(0.3), BlockSource(key, torch.device("cpu")), 8, mine)
        assert torch.allclose(part, whole[mine], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", [MEASURED, ()])
def test_it_goes_on_after_the_last_finished_epoch(trained, tmp_path, monkeypatch, model):
    whole = trained(*model, root=tmp_path / "whole")
    epoch_of = loop._epoch

    def stopped(fabric, job, network, optimizer, epoch):
        loss = epoch_of(fabric, job, network, optimizer, epoch)
        if epoch == 1:  # weights and running statistics have already changed
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(loop, "_epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(*model)
    epochs = []
    monkeypatch.setattr(loop, "_epoch", lambda *given: epochs.append(given[-1]) or epoch_of(*given))
    resumed = trained(*model)
    assert epochs == [1, 2]
    assert log(resumed) == log(whole)
    assert metadata_of(resumed)["weights"] == metadata_of(whole)["weights"]


@pytest.mark.parametrize("model", [(), MEASURED])
def test_training_without_noise(trained, monkeypatch, model):
    monkeypatch.setattr(step_noise, "_noisy", None)  # must not be called
    folder = trained(*model, "trainer.noisy=false", "trainer.epochs=1")
    metadata = metadata_of(folder)
    assert "-clean-" in folder.name
    assert metadata["trained_as"]["noise"] is None
    assert metadata["test_loss_under_noise"] is None
    assert metadata["test_loss_clean"] > 0


@pytest.mark.slow
def test_training_under_noise_helps_under_noise(trained):
    more = ("trainer.epochs=8", "noise.sigma=0.5")
    x = Digits().testing().pixels / 16
    noisy = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    errors = []
    for clean in ((), ("trainer.noisy=false",)):
        network = model_of(trained(*more, *clean), *more, *clean)
        with torch.inference_mode():
            errors.append((network(noisy) - x).square().mean().item())
    spread = (x - x.mean(dim=0)).square().mean().item()  # the loss of always answering with the mean image
    assert errors[0] < 0.75 * spread
    assert errors[0] < 0.75 * errors[1]


def test_a_checkpoint_keeps_its_matrix(trained):
    folder = trained(*MEASURED, "trainer.epochs=1")
    assert torch.equal(model_of(folder, *MEASURED).matrix, Reconstructor((1, 8, 8), 32).matrix)
    with pytest.raises(SettingError, match=r"model: .*seed=1.*was trained with Reconstructor\(.*seed=0"):
        model_of(folder, *MEASURED, "model.seed=1", "trainer.seed=0")
    kept = model_of(folder, *MEASURED, "model.seed=1", "allow_mismatch=true")
    assert torch.equal(kept.matrix, Reconstructor((1, 8, 8), 32, seed=0).matrix)


def test_certification_adds_its_noise_to_the_measurements(trained, tmp_path):
    """The certificate is for f at A x, in the units of A x."""
    overrides = (*MEASURED, "trainer.epochs=1", "noise.sigma=0.2", f"checkpoints.root={tmp_path / 'checkpoints'}")
    folder = trained(*overrides)
    few = ("certifier.n=400", "certifier.m=800", "certifier.delta=0.15", "indices=[3]", f"results.root={tmp_path}")
    table = certification.certify(settings("certify", *QUICK, *overrides, *few))
    rows = list(csv.DictReader(table.open()))
    assert [float(row["eps_in"]) for row in rows] == pytest.approx([0.3, 0.4])
    assert {row["status"] for row in rows} == {"certified"}
    draws, _ = load_draws(table.parent / "draws" / "3.npz")
    network = model_of(folder, *overrides)
    with torch.inference_mode():
        y = network.measure(Digits()[3][None])
        assert torch.allclose(draws.base_output, network(y)[0], atol=1e-6)
        outputs = network(y + 0.2 * torch.randn(2000, 32, generator=torch.Generator().manual_seed(0)))
    distances = settings("certify", *QUICK).metric.build()(outputs, draws.center[None])
    assert np.median(draws.distances) == pytest.approx(float(distances.median()), rel=0.1)


@pytest.mark.parametrize("data", ["mnist", pytest.param("cifar10", marks=pytest.mark.slow)])
@pytest.mark.parametrize("part", ["", "_reconstruction"])
def test_one_checkpoint_serves_every_metric(data, part):
    plain = {metric: settings("certify", f"experiment={data}{part}_{metric}") for metric in ("tvd", "l2", "angular")}
    assert len({checkpoints.folder(p, Digits()) for p in plain.values()}) == 1
    for metric, p in plain.items():
        composed = settings("train", f"experiment={data}{part}_{metric}")
        assert checkpoints.folder(composed, Digits()) == checkpoints.folder(p, Digits())
        assert {"n": 10_000, "m": 1_000_000, "bound": "paper", "delta": 0.05}.items() <= p.certifier.arguments.items()
        assert {"alpha1": 0.005, "alpha2": 0.005}.items() <= p.certifier.arguments.items()
        assert p.eps == pytest.approx([0.45, 0.6])  # the same for all, so that they can share outputs
        assert p.dataset.get("step") == 200
    expected = {"epochs": 100, "batch_size": 1000, "lr": 1e-3, "optimizer": "adam", "weight_decay": 0, "lr_factor": 1}
    assert expected.items() <= plain["tvd"].trainer.arguments.items()
    assert plain["tvd"].model.get("measurements" if part else "bottleneck") == 256


def test_the_papers_settings_of_the_generator():
    plain = settings("certify", "experiment=imagenet_lpips")
    expected = {"candidates": 30, "n": 2000, "m": 10_000, "delta": 0.08, "bound": "paper"}
    assert expected.items() <= plain.certifier.arguments.items()
    assert (plain.dataset.get("count"), plain.batch_size) == (50, 150)
    assert plain.dataset.get("truncation") == plain.model.get("truncation") == 0.5
    assert plain.eps == pytest.approx([0.02, 0.03])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("+trainer.stability=6",), r"trainer\.stability: expected 0 with AutoencoderTrainer, got 6"),
        (("model=small_cnn", "~model.bottleneck"), r"trainer: .*the images' shape, \(1, 8, 8\), got \(10,\)"),
        (("trainer=digits",), r"trainer: Trainer expected a vector of scores .*\(1, 8, 8\).*trainer=autoencoder"),
        (("trainer.devices=2",), r"trainer\.devices: expected 1 on a CPU"),
        (("dataset=faces",), r"model: Autoencoder needs labelled images of one size.*Faces has no labels"),
        (("+model.shape=[1,8,8]",), r"model\.shape: the data set provides it"),
    ],
)
def test_refused_with_one_line(trained, tmp_path, overrides, message):
    with pytest.raises(SettingError, match=message) as error:
        trained(*overrides)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("checkpoint.json"))


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path):
    """A network without batch normalisation, because a CPU trains batch normalisation in one process only."""
    model = ("model._target_=models.dncnn.DnCNN", "~model.bottleneck", "+model.depth=2", "+model.width=8")
    for devices in (1, 2):
        command = [sys.executable, str(ROOT / "train.py"), *QUICK, *model, f"trainer.devices={devices}"]
        command += [f"checkpoints.root={tmp_path / str(devices)}"]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=tmp_path)
    (one,), (two,) = ((tmp_path / str(devices)).glob("Digits*") for devices in (1, 2))
    assert one.name == two.name
    assert metadata_of(two)["processes"] == 2
    for alone, together in zip(log(one), log(two), strict=True):
        assert float(together["loss"]) == pytest.approx(float(alone["loss"]), rel=5e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("model", [(), MEASURED])
def test_on_a_gpu(trained, model):
    folder = trained("device=cuda", *model)
    assert metadata_of(folder)["trainer"]["precision"] == "32-true"
    assert float(log(folder)[2]["loss"]) < float(log(folder)[0]["loss"])
