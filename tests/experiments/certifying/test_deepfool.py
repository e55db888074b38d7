"""DeepFool: on linear classifiers it finds the distance known in closed form; a run uses no noise."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

from experiments.certifying import certification
from experiments.certifying.deepfool import DeepFool
from experiments.config.settings import Group
from experiments.training import checkpoints, loop
from smoothing import BaseFunctionError, SettingError


class Linear(nn.Module):
    """Scores w_c . x + b_c of images (b, 1, 2, 2)."""

    def __init__(self, weight, bias):
        super().__init__()
        self.layer = nn.Linear(4, len(bias))
        self.layer.weight.data, self.layer.bias.data = torch.tensor(weight), torch.tensor(bias)

    def forward(self, x):
        return self.layer(x.flatten(1))


X = torch.tensor([[[0.5, 0.4], [0.5, 0.6]]])
TWO = Linear([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [0.0, 0.0])  # class 0 if the first pixel is larger


def test_the_distance_to_a_linear_boundary():
    found = DeepFool(TWO)(X, 0)
    distance = 0.1 / math.sqrt(2)
    assert (found.prediction, found.status) == (0, "fooled")
    assert distance < found.distance < 1.03 * distance
    assert DeepFool(TWO, overshoot=0.5)(X, 0).distance == pytest.approx(1.5 * distance, rel=0.01)


def test_the_nearest_of_several_boundaries():
    three = Linear([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.0, 10.0]], [0.0, 0.0, -6.15])
    assert DeepFool(three)(X, 0).distance == pytest.approx(0.015, rel=0.03)  # to class 2: (6.15 - 10 * 0.6) / 10
    assert DeepFool(three, candidates=2)(X, 0).distance == pytest.approx(0.1 / math.sqrt(2), rel=0.03)  # to class 1


def test_a_wrong_example_is_no_distance_away():
    found = DeepFool(TWO)(X, 1)
    assert (found.prediction, found.distance, found.status) == (0, 0.0, "misclassified")


def test_scores_that_are_not_finite_are_of_no_class():
    found = DeepFool(Linear([[math.nan] * 4, [0.0] * 4], [0.0, 0.0]))(X, 0)
    assert (found.prediction, found.distance, found.status) == (-1, 0.0, "misclassified")


def test_one_column_is_no_classifier():
    with pytest.raises(BaseFunctionError, match="at least two classes"):
        DeepFool(Linear([[1.0, 0.0, 0.0, 0.0]], [0.0]))(X, 0)


def test_nothing_outside_the_pixels_range_counts():
    beyond = Linear([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [1.5, 0.0])  # class 1 needs a difference of -1.5
    found = DeepFool(beyond)(X, 0)
    assert (found.distance, found.status) == (math.inf, "resisted")


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"candidates": 1}, {"overshoot": -0.1}, {"overshoot": math.nan}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(SettingError, match=f"certifier.{next(iter(wrong))}: expected"):
        DeepFool(TWO, **wrong)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("undefended")


@pytest.fixture
def undefended(settings, root):
    def composed(*overrides):
        where = (f"checkpoints.root={root}/checkpoints", f"results.root={root}/results")
        return settings("experiment=digits_undefended", "trainer.epochs=3", "device=cpu", "limit=6", *where, *overrides)

    return composed


def test_a_run_without_noise(undefended):
    loop.train(undefended())
    path = certification.certify(undefended())
    table = pd.read_csv(path)
    assert tuple(table.columns) == DeepFool.columns
    assert table["index"].tolist() == [0, 1, 2, 3, 4, 5]
    assert (table["correct"] == (table["predict"] == table["label"])).all()
    assert ((table["distance"] > 0) == table["correct"]).all()
    assert path.parent.name.startswith("deep-fool-clean-")
    identity = json.loads((path.parent / "run.json").read_text())["identity"]
    assert "noise" not in identity
    assert identity["training"]["noise"] is None
    before = path.read_text()
    assert certification.certify(undefended("limit=3")).read_text() == before


def test_the_checkpoint_is_that_of_clean_training(undefended, settings):
    clean = undefended()
    dataset = clean.dataset.build()
    folder = checkpoints.folder(clean, dataset)
    assert folder.name.startswith("Digits-SmallCNN-clean-")
    gaussian = settings("experiment=digits_gaussian", "trainer.noisy=false", "trainer.epochs=3")
    gaussian = replace(gaussian, checkpoints=clean.checkpoints)
    assert checkpoints.folder(gaussian, dataset) == folder
    assert checkpoints.train_command(clean) == "python train.py experiment=digits_undefended"


def test_what_needs_noise_says_so(undefended):
    with pytest.raises(SettingError, match="noise: Certify needs a noise, such as noise=gaussian"):
        certification.certify(replace(undefended(), certifier=Group("smoothing.Certify")))
    with pytest.raises(SettingError, match=r"noise: expected a choice for training.*trainer\.noisy=false"):
        loop.train(undefended("trainer.noisy=true"))


def test_photographs_have_no_labels(undefended):
    with pytest.raises(SettingError, match="no labels"):
        certification.certify(undefended("dataset=faces"))
