"""Training of a denoiser in front of a classifier: two phases, and the classifier stays bit-identical in the second."""

import csv
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file

from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.data import Digits
from experiments.training import checkpoints, loop
from experiments.training.base_function import build_base_function, new_model
from experiments.training.denoiser_trainer import DenoiserTrainer
from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Purpose
from models.denoised import Denoised
from smoothing import SettingError

ROOT = Path(__file__).parents[3]


class Template(torch.nn.Module):
    """A classifier that brings its weights: the mean of each class of digits, as a linear network."""

    pretrained = True

    def __init__(self, num_classes):
        super().__init__()
        images = Digits().training()
        means = torch.stack(
            [(images.pixels[images.labels == k] / 16).mean(dim=0).flatten() for k in range(num_classes)]
        )
        self.linear = torch.nn.Linear(64, num_classes)
        self.linear.weight.data, self.linear.bias.data = means, -means.square().sum(dim=1) / 2

    def forward(self, images):
        return self.linear(images.flatten(1))


PRETRAINED = (f"model.classifier._target_={__name__}.Template", "~model.classifier.width")
SMALL = ("model=denoised_small_cnn", "model.depth=4", "model.width=8", "trainer=denoiser_digits")
SMALL += ("trainer.epochs=5", "trainer.clean_epochs=2", "trainer.lr_step=1")
NORMALISED = (  # another classifier, with batch normalisation; three batches an epoch
    "model.classifier._target_=models.classifiers.ResNetCIFAR",
    "~model.classifier.width",
    "+model.classifier.depth=8",
    "trainer.batch_size=400",
)


def composed(*overrides):
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return checked(compose("train", ["device=cpu", *overrides]), Settings)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """Uninterrupted trainings, each once: wholes("trainer.loss=stability", ...) -> the checkpoint's folder."""

    @cache
    def train(*overrides):
        root = tmp_path_factory.mktemp("whole")
        return loop.train(composed(*SMALL, f"checkpoints.root={root}", *overrides))

    return train


@pytest.fixture
def trained(tmp_path):
    """Train the small pair for two and three epochs: trained("trainer.loss=stability") -> the checkpoint's folder."""

    def train(*overrides, root=tmp_path / "checkpoints"):
        return loop.train(composed(*SMALL, f"checkpoints.root={root}", *overrides))

    return train


@pytest.fixture
def stopped(trained, tmp_path, monkeypatch):
    """Stop after a number of epochs: stopped(2) -> the saved state."""

    def stop(after, *overrides, root=tmp_path / "checkpoints"):
        epoch_of = loop._epoch

        def some(fabric, job, model, optimizer, epoch):
            if epoch == after:
                epoch_of(fabric, job, model, optimizer, epoch)  # part of the next epoch has already changed the weights
                raise KeyboardInterrupt
            return epoch_of(fabric, job, model, optimizer, epoch)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "_epoch", some)
            with pytest.raises(KeyboardInterrupt):
                trained(*overrides, root=root)
        (file,) = root.rglob(checkpoints.RESUME)
        return torch.load(file, weights_only=True)

    return stop


def log(folder):
    with (folder / "training.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def stored(folder):
    return load_file(folder / checkpoints.WEIGHTS)


def part(state, name):
    """The classifier's or the denoiser's entries of a state dictionary."""
    found = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
    assert found
    return found


def same(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def initial(plain):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return new_model(plain, Digits()).state_dict()


def test_the_first_phase_is_the_classifier_alone_on_clean_images(stopped, tmp_path):
    """Phase one equals training the classifier with the plain trainer, bit for bit; the denoiser does not change."""
    kept = stopped(2)["modules"][0]
    settings = ("model=small_cnn", "trainer=digits", "trainer.noisy=false", "trainer.epochs=2", "trainer.lr_step=1")
    alone = stored(loop.train(composed(*settings, f"checkpoints.root={tmp_path / 'alone'}")))
    assert same(part(kept, "classifier"), alone)
    assert same(part(kept, "denoiser"), part(initial(composed(*SMALL)), "denoiser"))


def test_a_retrained_classifier_comes_after_the_mse_denoiser_and_leaves_it_bit_identical(stopped, trained, tmp_path):
    """The classifier is trained from scratch: the denoiser's phase does not change it."""
    overrides = ("trainer.loss=mse_retrain",)
    # The second phase has the last clean_epochs = 2 of 5.
    kept, final = stopped(3, *overrides)["modules"][0], stored(trained(*overrides))
    start = initial(composed(*SMALL))
    assert same(part(kept, "classifier"), part(start, "classifier"))
    assert not same(part(kept, "denoiser"), part(start, "denoiser"))
    assert same(part(kept, "denoiser"), part(final, "denoiser"))
    assert not same(part(kept, "classifier"), part(final, "classifier"))


@pytest.mark.parametrize("loss", ["mse", "stability"])
def test_the_second_phase_leaves_the_classifier_bit_identical(stopped, trained, loss):
    """The classifier's weights and the statistics of its batch normalisation do not change."""
    overrides = (*NORMALISED, f"trainer.loss={loss}")
    kept, final = stopped(2, *overrides)["modules"][0], stored(trained(*overrides))
    assert part(final, "classifier")["features.2.num_batches_tracked"] == 2 * 3  # two epochs of three batches
    assert part(final, "classifier")["features.2.running_mean"].abs().sum() > 0
    assert same(part(kept, "classifier"), part(final, "classifier"))
    before, after = part(kept, "denoiser"), part(final, "denoiser")
    assert not any(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("after", "loss"),
    [
        *[(2, "mse"), (4, "stability"), (3, "mse_retrain")],
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, "mse"), (3, "mse"), (2, "mse_retrain"))),
    ],
)
def test_it_goes_on_in_either_phase(stopped, trained, wholes, monkeypatch, after, loss):
    overrides = (f"trainer.loss={loss}", "trainer.denoiser_lr=0.003")
    whole = wholes(*overrides)
    stopped(after, *overrides)
    epochs, epoch_of = [], loop._epoch
    monkeypatch.setattr(loop, "_epoch", lambda *given: epochs.append(given[-1]) or epoch_of(*given))
    resumed = trained(*overrides)
    assert epochs == list(range(after, 5))
    assert log(resumed) == log(whole)
    assert same(stored(resumed), stored(whole))


def test_images_are_clean_in_the_first_phase_and_noisy_in_the_second(trained, monkeypatch):
    epochs, original = [], StepNoise.__call__

    def spy(noise, x, purpose=Purpose.NOISE):
        epochs.append(noise.epoch)
        assert purpose == Purpose.NOISE
        return original(noise, x, purpose)

    monkeypatch.setattr(StepNoise, "__call__", spy)
    trained("trainer.batch_size=1297")
    assert epochs == [2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "stability"])
def test_a_denoiser_does_what_its_loss_wants(trained, tmp_path, loss):
    """The denoiser halves the image's error, or increases the accuracy of a classifier trained on clean images."""
    overrides = ("noise.sigma=0.5", f"trainer.loss={loss}", "model.width=16")
    overrides += ("trainer.epochs=32", "trainer.clean_epochs=8", "trainer.lr_step=8")
    metadata = json.loads((trained(*overrides) / "checkpoint.json").read_text())
    plain = composed(*SMALL, *overrides, f"checkpoints.root={tmp_path / 'checkpoints'}")
    model, testing = build_base_function(plain, Digits()).model.eval(), Digits().testing()
    x = testing.pixels / 16
    noisy = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        without, within = (
            (scores.argmax(dim=1) == testing.labels).double().mean().item()
            for scores in (model.classifier(noisy), model(noisy))
        )
        error, left = ((image - x).square().mean().item() for image in (noisy, model.denoiser(noisy)))
    if loss == "mse":
        assert left < error / 2
    else:
        assert within > without + 0.05
    assert metadata["test_accuracy_under_noise"] == pytest.approx(within, abs=0.06)


def test_in_front_of_a_classifier_that_brings_its_weights(trained):
    """The denoiser alone is trained and stored, first by mse and then by the loss of stability."""
    given = (
        *PRETRAINED,
        "trainer.clean_epochs=0",
        "trainer.loss=stability",
        "+trainer.mse_epochs=3",
        "noise.sigma=0.5",
    )
    folder = trained(*given, "trainer.epochs=6")
    assert all(name.startswith("denoiser.") for name in stored(folder))
    losses = [float(row["loss"]) for row in log(folder)]
    assert losses[0] > losses[2]
    assert losses[2] < 0.3 < losses[3]  # a mean square, then a cross entropy
    with torch.random.fork_rng():
        built = build_base_function(
            composed(*SMALL, *given, "trainer.epochs=6", f"checkpoint={folder}"), Digits()
        ).model
    assert torch.equal(built.classifier.linear.weight, Template(10).linear.weight)
    assert same(built.state_dict(), stored(folder))
    # The log counts agreement with the classes of clean images; the test results count labels.
    metadata = json.loads((folder / "checkpoint.json").read_text())
    x, labels = Digits().testing().pixels / 16, Digits().testing().labels
    with torch.inference_mode():
        right = (built.eval()(x).argmax(dim=1) == labels).double().mean().item()
    assert metadata["test_accuracy_clean"] == pytest.approx(right, abs=1e-3)


@pytest.mark.parametrize("epoch", [0, 1])
def test_agreement_is_with_the_class_of_the_clean_image(epoch):
    named = {"_target_": f"{__name__}.Template"}
    model = Denoised(10, 1, (0.3,), (0.4,), classifier=named, depth=3, width=4)
    trainer = DenoiserTrainer(2, 6, 0.1, clean_epochs=0, loss="stability", mse_epochs=1)
    trainer.require(model)
    trainer.set_mode(model, epoch)
    x = torch.rand(6, 1, 8, 8)
    value, outputs = trainer.objective(model, x, torch.zeros(6, dtype=torch.int64), lambda x: x + 0.1, epoch)
    denoised = model.denoiser(x + 0.1)
    scores, clean = model.classifier(denoised), model.classifier(x)
    assert torch.allclose(outputs, torch.stack([scores, clean], dim=1), atol=1e-5)
    agree = (scores.argmax(dim=1) == clean.argmax(dim=1)).double()
    assert torch.equal(trainer.judge(outputs, torch.zeros(6)), agree)
    wanted = torch.nn.functional.cross_entropy(scores, clean.argmax(dim=1)) if epoch else (denoised - x).square().mean()
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_checkpoint_of_both(trained):
    folder = trained()
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert folder.name.startswith("Digits-Denoised-sigma0.25-")
    assert metadata["trained_as"]["noise"] == {"type": "Gaussian", "sigma": 0.25}
    assert metadata["trained_as"]["model"]["classifier"] == {
        "_target_": "models.classifiers.SmallCNN",
        "width": 16,
    }
    assert metadata["trained_as"]["trainer"]["type"] == "DenoiserTrainer"
    assert {"epochs": 5, "clean_epochs": 2, "loss": "mse"}.items() <= metadata["trained_as"]["trainer"].items()
    assert (len(log(folder)), metadata["epochs"]) == (5, 5)


def test_of_another_denoiser_or_classifier_it_is_another(trained):
    folder = trained()
    for other in ("model.depth=5", "model.classifier.width=8"):
        with pytest.raises(SettingError, match="model: expected a checkpoint trained with Denoised"):
            build_base_function(composed(*SMALL, other, f"checkpoint={folder}"), Digits())


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
def test_the_papers_settings_compose(noise):
    plain = composed("dataset=cifar10", "model=denoised_wide_resnet_40_2", "trainer=denoiser", f"noise={noise}")
    assert (plain.model.get("depth"), plain.model.get("width")) == (17, 64)
    assert plain.model.get("classifier") == {"_target_": "models.classifiers.WideResNet", "depth": 40, "width": 2}
    assert plain.trainer.get("optimizer") == "sgd"
    assert (plain.trainer.get("denoiser_optimizer"), plain.trainer.get("denoiser_lr")) == ("adam", 0.001)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.clean_epochs=0",), r"trainer\.clean_epochs: expected at least 1, because SmallCNN must be trained"),
        (("trainer.clean_epochs=5",), r"trainer\.clean_epochs: expected 0 to 4"),
        (("trainer.clean_epochs=0", "trainer.loss=mse_retrain"), r"trainer\.clean_epochs: expected at least 1 with"),
        (("trainer.loss=stability", "+trainer.mse_epochs=3"), r"trainer\.mse_epochs: expected 0 to 2"),
        (("+trainer.mse_epochs=1",), r"trainer\.mse_epochs: expected 0 with trainer\.loss=mse"),
        ((*PRETRAINED, "trainer.clean_epochs=1"), r"trainer\.clean_epochs: expected 0, because Template brings"),
        (("~trainer.clean_epochs",), r"trainer\.clean_epochs"),
        (("trainer.loss=l1",), r"trainer\.loss: expected mse, stability or mse_retrain, got l1"),
        (("trainer.denoiser_optimizer=lion",), r"trainer\.denoiser_optimizer: .*lion"),
        (("trainer.denoiser_lr=0",), r"trainer\.denoiser_lr: expected a positive number"),
        (("+trainer.noisy=false",), r"trainer\.noisy: expected true"),
        (("+trainer.stability=6",), r"trainer\.stability: .*trainer\.loss=stability"),
        (("+trainer.devices=2",), r"trainer\.devices: expected 1.*got 2"),
        (("+trainer.nodes=2",), r"trainer\.nodes: expected 1.*got 2"),
        (("trainer.precision=bf16-true",), r"trainer\.precision: .*bf16-true"),
        (("trainer.lr=-1",), r"trainer\.lr: expected a positive number"),
        (("+model.classifier.widht=3",), r"model\.classifier: .*widht"),
    ],
)
def test_refused_with_one_line(trained, tmp_path, overrides, message):
    with pytest.raises(SettingError, match=message) as error:
        trained(*overrides)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.pt"))


def test_a_model_without_a_denoiser_is_refused():
    with pytest.raises(SettingError, match="model=denoised_small_cnn, got SmallCNN") as error:
        loop.train(composed("model=small_cnn", "trainer=denoiser_digits"))
    assert "\n" not in str(error.value)


@pytest.mark.gpu
@pytest.mark.parametrize("loss", ["mse", "stability"])
def test_on_a_gpu(trained, loss):
    folder = trained("device=cuda", f"trainer.loss={loss}", *NORMALISED)
    assert json.loads((folder / "checkpoint.json").read_text())["trainer"]["precision"] == "32-true"
    assert float(log(folder)[4]["loss"]) < float(log(folder)[2]["loss"])
