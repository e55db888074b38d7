"""The base function of a run: whether it needs a checkpoint, and what the data set tells it."""

from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch

from experiments.config.settings import Group
from experiments.data import Digits
from experiments.training.base_function import _has_numbers, build_base_function, new_model
from experiments.training.weights import find, needs_checkpoint
from models.face_detector import FaceDetector
from smoothing import SettingError

ROOT = Path(__file__).parents[3]


def test_what_needs_a_checkpoint(composed):
    assert not needs_checkpoint(composed("experiment=faces_jaccard"))
    assert isinstance(build_base_function(composed("experiment=faces_jaccard"), Digits()).model, FaceDetector)
    assert find(composed("experiment=faces_jaccard"), Digits()) is None
    plain = replace(composed(), trainer=None)
    with pytest.raises(SettingError, match=r"SmallCNN needs weights.*file of weights>; if.*pretrained = True"):
        needs_checkpoint(plain)
    function = replace(plain, model=Group("torchvision.models.resnet18"))
    with pytest.raises(
        SettingError, match=r"or \+model\.weights=DEFAULT; if it.*below the function, set resnet18\.pretrained = "
    ):
        needs_checkpoint(function)


def test_a_network_that_holds_no_numbers_needs_none(composed):
    """Not even with a trainer, which could not train it."""
    base = build_base_function(replace(composed(), model=Group("torch.nn.Flatten")), Digits())
    assert base.checkpoint is None
    assert _has_numbers(torch.nn.Linear(1, 1))
    for held in (torch.ones(2), [torch.ones(2)], [torch.nn.Linear(1, 1)], np.ones(2)):
        plain = torch.nn.Identity()
        plain.held = held
        assert _has_numbers(plain)
    assert _has_numbers(lambda x: x), "a function may hold weights anywhere"


def test_a_classifier_needs_labels(composed):
    plain = composed("dataset=faces")
    with pytest.raises(SettingError, match="Faces has no labels"):
        new_model(plain, plain.dataset.build())


def test_weights_that_cannot_be_downloaded_are_one_line(composed, monkeypatch):
    def offline(*arguments, **settings):
        raise URLError("no route")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    plain = replace(composed(), model=Group("torchvision.models.resnet18", {"weights": "DEFAULT"}))
    with pytest.raises(SettingError, match=r"the weights of resnet18 cannot be downloaded \(no route\); download the"):
        new_model(plain, Digits())


def test_the_data_set_tells_the_model_what_it_needs(composed):
    model = new_model(composed(), Digits())
    x = torch.rand(2, 1, 8, 8)
    assert model(x).shape == (2, 10)
    assert model.layers[0].mean.flatten().tolist() == pytest.approx([0.3054])
    with pytest.raises(SettingError, match=r"model\.num_classes: the data set provides it; leave it out"):
        composed("+model.num_classes=3")
