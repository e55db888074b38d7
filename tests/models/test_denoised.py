"""A denoiser in front of a classifier: the composition of both, where the classifier is given by its class."""

from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from experiments.certifying.contents import _in_checkpoint
from experiments.config.identity import description
from experiments.config.settings import Group
from experiments.training.base_function import BaseFunction
from experiments.training.checkpoints import state_hash
from experiments.training.weights import Checkpoint
from models.classifiers import ResNetCIFAR, SmallCNN
from models.denoised import Denoised
from models.dncnn import DnCNN
from smoothing import SettingError
from smoothing.base_function import FrozenFunction

SMALL = {"_target_": "models.classifiers.SmallCNN", "width": 4}


def test_the_classifier_of_the_denoised_image():
    model = Denoised(10, 1, (0.3,), (0.4,), classifier=SMALL, depth=3, width=8).eval()
    assert isinstance(model.denoiser, DnCNN)
    assert isinstance(model.classifier, SmallCNN)
    images = torch.rand(4, 1, 8, 8)
    with torch.inference_mode():
        scores, alone = model(images), torch.cat([model(image[None]) for image in images])
        assert torch.equal(scores, model.classifier(model.denoiser(images)))
        assert not torch.allclose(scores, model.classifier(images), atol=1e-3)
    assert torch.allclose(scores, alone, rtol=1e-4, atol=1e-5)
    assert scores.shape == (4, 10)


def test_the_run_tells_the_classifier_what_it_tells_any():
    named = {"_target_": "models.classifiers.ResNetCIFAR", "depth": 8}
    model = Denoised(7, 3, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), classifier=named, depth=2, width=4)
    assert isinstance(model.classifier, ResNetCIFAR)
    assert model.classifier.classify.out_features == 7
    assert model.classifier.features[0].mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert model.classifier.features[0].std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert named == {"_target_": "models.classifiers.ResNetCIFAR", "depth": 8}


def test_the_classifier_begins_as_one_of_its_own_does():
    torch.manual_seed(3)
    alone = SmallCNN(10, 1, (0.3,), (0.4,), width=4)
    torch.manual_seed(3)
    model = Denoised(10, 1, (0.3,), (0.4,), classifier=SMALL)
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), model.classifier.parameters(), strict=True))


class Bright(torch.nn.Module):
    """A classifier that brings its weights."""

    pretrained = True

    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.linear = torch.nn.Linear(64 * in_channels, num_classes)
        torch.nn.init.constant_(self.linear.weight, 0.5)

    def forward(self, images):
        return self.linear(images.flatten(1))


def test_weights_that_the_classifier_brings_are_not_stored():
    named = {"_target_": f"{__name__}.Bright"}
    model, other = (Denoised(10, 1, (0.3,), (0.4,), classifier=named, depth=3, width=8) for _ in range(2))
    assert all(name.startswith("denoiser.") for name in model.state_dict())
    torch.nn.init.zeros_(other.classifier.linear.bias)
    bias = other.classifier.linear.bias.clone()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.classifier.linear.bias, bias)
    assert torch.equal(other.denoiser.noise[0].weight, model.denoiser.noise[0].weight)
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})
    average = AveragedModel(model, use_buffers=True)
    stored = average.state_dict()
    assert not [name for name in stored if "classifier" in name]
    AveragedModel(other, use_buffers=True).load_state_dict(stored)


def test_weights_that_are_not_stored_are_part_of_what_a_run_compares():
    """The checkpoint does not pin them, so run.json does."""
    named = {"_target_": f"{__name__}.Bright"}
    model = Denoised(10, 1, (0.3,), (0.4,), classifier=named, depth=3, width=8)
    checkpoint, before = Checkpoint(Path("of.safetensors"), "hash", None), state_hash(model)
    with torch.no_grad():
        model.classifier.linear.weight.add_(1)
    assert state_hash(model) != before
    assert not _in_checkpoint(BaseFunction(model, None, checkpoint))
    assert _in_checkpoint(BaseFunction(SmallCNN(10, 1, (0.3,), (0.4,)), None, checkpoint))
    assert not _in_checkpoint(BaseFunction(model, None, None))


def test_files_that_the_classifier_names_are_in_the_identity(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"one")
    group = Group(
        "models.Denoised",
        {"classifier": {"_target_": "models.classifiers.SmallCNN", "weights": str(tmp_path / "net.pt")}},
    )
    before = description(group)
    (tmp_path / "net.pt").write_bytes(b"two")
    assert description(group) != before


def test_it_is_certified_as_a_frozen_copy():
    model = Denoised(10, 1, (0.3,), (0.4,), classifier={"_target_": f"{__name__}.Bright"}, depth=3, width=8)
    f, x = FrozenFunction(model), torch.rand(4, 1, 8, 8)
    assert f.not_copied == ""
    with torch.inference_mode():
        assert torch.allclose(f(x), model.eval()(x), atol=1e-5)


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (SMALL | {"widht": 4}, r"model\.classifier: .*widht"),
        ({"width": 4}, r"model\.classifier\._target_: expected a classifier's class"),
        ({"_target_": "models.classifiers.SmallCNNN"}, r"_target_: .*SmallCNNN"),
        ({"_target_": "nowhere.SmallCNN"}, r"_target_: .*nowhere"),
        ({"_target_": "models.classifiers"}, r"model\.classifier: "),
        ({"_target_": "models.classifiers.ResNetCIFAR", "depth": 9}, r"depth.*9"),
    ],
)
def test_refused_with_one_line(classifier, message):
    with pytest.raises(SettingError, match=message) as error:
        Denoised(10, 1, (0.3,), (0.4,), classifier=classifier)
    assert "\n" not in str(error.value)
