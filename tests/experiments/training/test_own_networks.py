"""Users' own networks: those that certify.py takes are trained, saved and loaded; others are refused at once."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from experiments.data import Digits
from experiments.training import RegressionTrainer, checkpoints, loop
from experiments.training.base_function import build_base_function
from experiments.training.step import evaluated
from experiments.training.trainer import Trainer
from experiments.training.weights_file import load_weights
from smoothing import BaseFunctionError, SettingError

FEW = ("trainer.epochs=1", "device=cpu", "~model.width")
TRAINER = Trainer(1, 4, 0.1)


class Plain(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(64, num_classes)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Tied(Plain):
    """One layer under two names."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.again = self.layer


class Spectral(Plain):
    """Its layer keeps the weight that the last forward pass computed, with a gradient."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        nn.utils.spectral_norm(self.layer)


class Weighted(Plain):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        nn.utils.weight_norm(self.layer)


class OfTheBatch(Plain):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.norm = nn.BatchNorm1d(64, track_running_stats=False)

    def forward(self, images):
        return self.layer(self.norm(images.flatten(1)))


def function(num_classes: int):
    return lambda images: images.flatten(1)[:, :num_classes]


class OneClass(Digits):
    def __init__(self) -> None:
        super().__init__()
        self.classes = ["digit"]


def target(name):
    return f"model._target_={__name__}.{name}"


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", ["Tied", "Spectral", "Weighted"])
@pytest.mark.parametrize("decay", ["0", "0.9"])
def test_it_is_trained_saved_and_loaded(composed, tmp_path, name, decay):
    plain = composed(*FEW, target(name), f"+trainer.ema_decay={decay}", f"checkpoints.root={tmp_path}")
    folder = loop.train(plain)
    stored, model = load_file(folder / checkpoints.WEIGHTS), build_base_function(plain, Digits()).model
    assert all(torch.equal(value, stored[name]) for name, value in model.state_dict().items())
    assert checkpoints.read(folder)["test_accuracy_clean"] > 0.2


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ((target("OfTheBatch"),), BaseFunctionError, "norm normalises by its batch; use track_running_stats=True"),
        ((target("function"),), SettingError, "model: expected a torch.nn.Module to train, got function"),
        (
            (target("Plain"), f"dataset._target_={__name__}.OneClass"),
            SettingError,
            "dataset: expected at least two classes to train a classifier, got 1 in OneClass",
        ),
    ],
)
def test_what_cannot_be_certified_is_not_trained(composed, tmp_path, monkeypatch, words, error, message):
    monkeypatch.setattr(loop, "_epoch", lambda *_: pytest.fail("an epoch began"))
    with pytest.raises(error, match=message):
        loop.train(composed(*FEW, *words, f"checkpoints.root={tmp_path}"))
    assert not any(tmp_path.iterdir())


SCORES = torch.zeros(4, 10)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            SimpleNamespace(logits=SCORES),
            r"got SimpleNamespace; wrap it so that it returns .*, such as its \.logits",
        ),
        ({"scores": SCORES}, "got dict with scores; wrap it so that it returns one of these tensors"),
        (None, "got None; return the outputs"),
    ],
)
def test_outputs_that_are_no_tensor(outputs, message):
    x, labels = torch.rand(4, 64), torch.zeros(4, dtype=torch.int64)
    for trainer in (TRAINER, RegressionTrainer(1, 4, 0.1)):
        with pytest.raises(SettingError, match=f"trainer: {type(trainer).__name__} expected a tensor .*, {message}"):
            trainer.objective(lambda _: outputs, x, labels, lambda x, *_: x, 0)
    with pytest.raises(SettingError, match=message):
        TRAINER.judge(outputs, labels)


def test_class_numbers_are_no_scores():
    x, labels = torch.rand(4, 64), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(SettingError, match=r"got one number; return scores, not class numbers$"):
        TRAINER.objective(lambda x: x.argmax(dim=1), x, labels, lambda x, *_: x, 0)


def test_nothing_to_train():
    x, labels = torch.rand(4, 64), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(SettingError, match="model: no parameter of Plain requires a gradient, so there is nothing to"):
        evaluated(TRAINER, x, labels, lambda x, *_: x, 0, Plain(10).requires_grad_(False))
    with pytest.raises(SettingError, match="model: Flatten has no parameters, so there is nothing to train"):
        TRAINER.make_optimizers(nn.Flatten())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "model._orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("inner", ["layer", "model", "module"])
def test_prefixes_that_other_training_code_adds(tmp_path, prefix, inner):
    """They are removed, but not those of the network's own names."""
    saved, loaded = (nn.Sequential(), nn.Sequential())
    for network in (saved, loaded):
        network.add_module(inner, nn.Linear(3, 2))
    torch.save({prefix + name: value for name, value in saved.state_dict().items()}, tmp_path / "a.pt")
    load_weights(tmp_path / "a.pt", loaded)
    assert torch.equal(loaded[0].weight, saved[0].weight)
