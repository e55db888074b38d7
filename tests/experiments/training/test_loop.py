"""Training: it learns, it resumes, and what it reports is what it did."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_post_hook

from experiments.config.identity import description
from experiments.config.settings import Group
from experiments.data import Digits, Images
from experiments.training import loop
from experiments.training.base_function import build_base_function, new_model
from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Purpose, Trainer
from smoothing import SettingError
from smoothing.streams import Stage

QUICK = ("trainer.epochs=3", "trainer.lr_step=2", "device=cpu")


def log(folder):
    with (folder / "training.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def weights(folder):
    return json.loads((folder / "checkpoint.json").read_text())["weights"]


def test_a_checkpoint_and_its_metadata(trained):
    folder = trained()
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.json", "training.csv", "weights.safetensors"]
    rows = log(folder)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[2]["loss"]) < float(rows[0]["loss"]) < 2.5
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert metadata["trained_as"]["noise"] == {"type": "Gaussian", "sigma": 0.25}
    assert metadata["trained_as"]["model"] == {"type": "SmallCNN", "width": 16}
    assert metadata["trained_as"]["dataset"] == {"type": "Digits"}
    assert (metadata["epochs"], metadata["seed"], metadata["test_images"]) == (3, 0, 500)
    assert repr(metadata["training_loss"]) == rows[2]["loss"]
    assert metadata["trainer"]["precision"] == "32-true"
    assert {"commit", "dirty", "versions", "device", "processes", "seconds"} <= metadata.keys()


def test_the_test_accuracy_is_that_of_the_saved_weights(trained, composed, tmp_path):
    folder = trained()
    metadata = json.loads((folder / "checkpoint.json").read_text())
    plain = composed(*QUICK, f"checkpoints.root={tmp_path / 'checkpoints'}")
    model, testing = build_base_function(plain, Digits()).model.eval(), Digits().testing()
    x = testing.pixels / 16
    with torch.inference_mode():
        clean = (model(x).argmax(dim=1) == testing.labels).float().mean().item()
        draws = [x + 0.25 * torch.randn(x.shape, generator=torch.Generator().manual_seed(k)) for k in range(20)]
        noisy = np.mean([(model(draw).argmax(dim=1) == testing.labels).float().mean().item() for draw in draws])
    assert metadata["test_accuracy_clean"] == pytest.approx(clean)
    assert metadata["test_accuracy_under_noise"] == pytest.approx(noisy, abs=0.06)
    assert clean > 0.7


def test_freed_memory_is_kept(trained, monkeypatch):
    kept = []
    monkeypatch.setattr(loop, "keep_freed_memory", lambda: kept.append(True))
    trained()
    assert kept  # page faults took a third of the time of MACER, whose batches have 4096 rows


def test_it_depends_on_the_seed_and_on_nothing_else(trained, tmp_path):
    first = trained()
    before = torch.random.get_rng_state()
    again = trained(root=tmp_path / "again")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert log(again) == log(first)
    assert weights(again) == weights(first)
    assert log(trained("seed=1")) != log(first)


def test_a_finished_one_is_left_alone(trained, monkeypatch):
    folder = trained()
    monkeypatch.setattr(loop, "_epoch", None)
    assert trained() == folder


@pytest.mark.parametrize("given", ["optimizer=adam", "optimizer=sgd", "ema_decay=0.9"])
def test_it_goes_on_after_the_last_finished_epoch(trained, tmp_path, monkeypatch, given):
    whole = trained(f"trainer.{given}", root=tmp_path / "whole")
    epoch_of = loop._epoch

    def stopped(*given):
        found = epoch_of(*given)
        if given[-1] == 1:  # part of the next epoch has already changed the weights
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(loop, "_epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(f"trainer.{given}")
    epochs = []
    monkeypatch.setattr(loop, "_epoch", lambda *each: epochs.append(each[-1]) or epoch_of(*each))
    resumed = trained(f"trainer.{given}")
    assert epochs == [1, 2]
    assert log(resumed) == log(whole)
    assert weights(resumed) == weights(whole)


def test_training_on_clean_images(trained):
    folder = trained("trainer.noisy=false")
    assert "-clean-" in folder.name
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert metadata["trained_as"]["noise"] is None
    assert metadata["test_accuracy_under_noise"] is None
    assert metadata["test_accuracy_clean"] > 0.7


def test_the_network_sees_gaussian_noise_of_sigma(trained, monkeypatch):
    """The first training batch minus its images is noise with the right distribution."""
    seen = []
    original = StepNoise.__call__

    def spy(noise, x, purpose=Purpose.NOISE, k=0):
        out = original(noise, x, purpose, k)
        seen.append((x.clone(), out.clone(), noise.key(purpose, k).spawn_key))
        return out

    monkeypatch.setattr(StepNoise, "__call__", spy)
    trained("noise.sigma=0.5", "trainer.epochs=1")
    assert len({key for *_, key in seen}) == len(seen) == 12  # one key per step
    noise = torch.cat([(out - x).flatten() for x, out, _ in seen])
    assert noise.std().item() == pytest.approx(0.5, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert seen[0][0].min() == 0
    assert seen[0][0].max() == 1


def test_training_noise_is_none_of_the_certificates():
    """A base function trained on the samples of its own certificate would invalidate the certificate."""
    trainer = Trainer(1, 8, 0.1, 1)
    trained = {
        tuple(trainer.key(purpose, a, b).generate_state(4)) for purpose in Purpose for a in (0, 1, 3) for b in (0, 1)
    }
    for example in (0, 1, 3):
        for stage in Stage:
            for block in (0, 1):
                key = np.random.SeedSequence(0, spawn_key=(example, stage, block))
                assert tuple(key.generate_state(4)) not in trained


def test_the_learning_rate_falls_in_steps():
    trainer = Trainer(90, 400, 0.1, 30)
    assert [trainer.learning_rate(epoch) for epoch in (0, 29, 30, 59, 60, 89)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_the_papers_settings_are_those_of_its_trainer(composed):
    plain = composed("experiment=cifar10_gaussian")
    expected = {"epochs": 90, "batch_size": 400, "lr": 0.1, "lr_step": 30, "lr_factor": 0.1, "momentum": 0.9}
    expected |= {"weight_decay": 1e-4, "crop_padding": 4, "flip": True}
    assert expected.items() <= plain.trainer.arguments.items()
    assert plain.model == Group("models.classifiers.ProjectedResNet", {"depth": 110})
    for name in ("cifar10_gaussian", "cifar10_undefended", "cifar10_wong", "cifar10_crown", "svhn_gaussian"):
        # whole test sets; the repository uses every 20th image
        assert composed(f"experiment={name}").dataset.get("step") == 1
    assert plain.trainer.get("precision") == "32-true"
    assert composed("experiment=imagenet_gaussian").model.target.endswith("ResNet50")


def test_the_logged_loss_is_the_mean_over_the_epoch(trained):
    """With a negligible learning rate, the loss of epoch 1 is that of the initial network."""
    folder = trained("trainer.lr=1e-12", "trainer.epochs=1", "trainer.noisy=false", "trainer.batch_size=1297")
    data = Digits().training()
    stored = load_file(folder / "weights.safetensors")
    model = Group("models.classifiers.SmallCNN").build(num_classes=10, in_channels=1, mean=[0], std=[1])
    model.load_state_dict(stored)
    with torch.inference_mode():
        scores = model(data.pixels / 16)
    assert float(log(folder)[0]["loss"]) == pytest.approx(
        functional.cross_entropy(scores, data.labels).item(), rel=1e-5
    )
    assert float(log(folder)[0]["accuracy"]) == pytest.approx((scores.argmax(1) == data.labels).double().mean().item())


def test_the_average_of_the_weights_is_saved(trained, composed):
    """It moves by 1 - decay of the way to the weights after each step, from the weights after the first step."""
    after = []

    def keep(optimizer, *_):
        after.append([weight.detach().clone() for group in optimizer.param_groups for weight in group["params"]])

    hook = register_optimizer_step_post_hook(keep)
    folder = trained("trainer.ema_decay=0.9", "trainer.epochs=1")
    hook.remove()
    expected = after[0]
    for weights_now in after[1:]:
        expected = [0.9 * mean + 0.1 * weight for mean, weight in zip(expected, weights_now, strict=True)]
    saved = load_file(folder / "weights.safetensors")
    names = dict(new_model(composed(), Digits()).named_parameters())
    for name, mean, last in zip(names, expected, after[-1], strict=True):
        assert torch.allclose(saved[name], mean, atol=1e-6)
        assert not torch.allclose(saved[name], last, atol=1e-6)


def test_gradients_are_clipped(trained, monkeypatch):
    norms, step = [], torch.optim.Adam.step

    def spied(self, *given):
        gradients = [weight.grad for group in self.param_groups for weight in group["params"]]
        norms.append(float(torch.nn.utils.get_total_norm(gradients)))
        return step(self, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", spied)
    trained("trainer.epochs=1")
    free = norms.copy()
    norms.clear()
    trained("trainer.epochs=1", "trainer.clip_norm=0.5")
    assert max(free) > 0.6
    assert max(norms) <= 0.5 + 1e-4


def test_options_that_are_off_do_not_change_a_checkpoints_name(composed):
    off = composed("trainer.clip_norm=0", "trainer.ema_decay=0").trainer
    assert description(off) == description(composed().trainer)
    assert description(composed("trainer.ema_decay=0.9").trainer) != description(off)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.ema_decay=1",), "trainer.ema_decay: expected at least 0 and less than 1"),
        (("trainer.clip_norm=-1",), "trainer.clip_norm: expected a finite number >= 0"),
        (("trainer.epochs=0",), "trainer.epochs: expected at least 1"),
        (("trainer.lr=0",), "trainer.lr: expected a positive"),
        (("trainer.optimizer=lion",), "trainer.optimizer: .*lion"),
        (("trainer.batch_size=2000",), "trainer.batch_size: expected at most 1297"),
        (("trainer.devices=3",), "trainer.batch_size: expected a multiple of 3, .* got 100"),
        (("trainer.devices=2", "model=resnet20"), "batch normalisation"),
        (("trainer.nodes=2",), "srun or torchrun"),
        (("trainer.precision=half",), "trainer.precision: .*half"),
        (("trainer.lr=1e30", "trainer.optimizer=sgd"), "trainer.lr: expected a finite loss"),
        (("trainer.lr=1e30", "trainer.optimizer=sgd", "trainer.clip_norm=1"), "trainer.lr: expected a finite loss"),
        (("dataset=faces",), "Faces has no labels"),
    ],
)
def test_refused_with_one_line(trained, tmp_path, overrides, message):
    with pytest.raises(SettingError, match=message) as error:
        trained(*overrides)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("checkpoint.json"))


def test_labels_out_of_range(trained, monkeypatch):
    data = Digits().training()
    monkeypatch.setattr(Digits, "training", lambda self: Images(data.pixels, data.labels + 1))
    with pytest.raises(SettingError, match="expected labels 0 to 9, got 1 to 10"):
        trained()


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_weights_of_another_precision_are_trained_and_tested(trained, precision):
    folder = trained(f"trainer.precision={precision}")
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert metadata["test_accuracy_under_noise"] > 0.7
    dtypes = {value.dtype for value in load_file(folder / "weights.safetensors").values()}
    assert {"bf16-true": torch.bfloat16, "64-true": torch.float64}[precision] in dtypes


@pytest.mark.gpu
def test_on_a_gpu(trained):
    folder = trained("device=cuda", "model=resnet20", "trainer.crop_padding=1", "trainer.flip=true")
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert metadata["trainer"]["precision"] == "32-true"
    assert float(log(folder)[2]["loss"]) < float(log(folder)[0]["loss"])
