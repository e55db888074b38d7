"""Data sets with targets: fixed splits and units, what mosaics are made of, and what refuses them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes

from experiments.data import Diabetes, DigitMosaics, Digits
from experiments.data.diabetes import MEAN, STD, TRAINING
from experiments.training.base_function import build_base_function, new_noise
from smoothing import SettingError


def test_diabetes_is_split_once_and_has_known_units():
    data = Diabetes()
    training, testing = data.training(), data.testing()
    assert (len(training), len(testing), data.indices()) == (342, 100, list(range(100)))
    assert training.pixels.shape == (342, *data.shape) == (342, 10)
    assert testing.labels.shape == (100, 1)
    rows = torch.cat([training.pixels, testing.pixels]).double().numpy() * STD + MEAN
    source, targets = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(0).permutation(442)
    assert np.allclose(rows, source[order], atol=1e-3)
    assert torch.cat([training.labels, testing.labels])[:, 0].tolist() == targets[order].tolist()
    assert np.allclose(source[order[:TRAINING]].mean(axis=0), MEAN, rtol=1e-3)
    assert np.allclose(source[order[:TRAINING]].std(axis=0), STD, rtol=1e-3)
    assert torch.equal(data[7], testing.pixels[7])
    with pytest.raises(IndexError, match="0 to 99"):
        data[100]


def test_mosaics_are_of_four_digits_each_and_test_digits_are_in_one():
    data, digits = DigitMosaics(), Digits()
    training, testing = data.training(), data.testing()
    assert (len(training), len(testing), len(data.classes)) == (2592, 125, 11)
    assert training.pixels.shape[1:] == data.shape == (1, 16, 16)
    assert data[3].shape == (1, 16, 16)
    assert torch.equal(data[3] * 16, testing.pixels[3].float())
    for mosaics, of in ((testing, digits.testing()), (training, digits.training())):
        known = {bytes(tile.numpy()): int(label) for tile, label in zip(of.pixels[:, 0], of.labels, strict=True)}
        seen = []
        for image, target in zip(mosaics.pixels[:, 0], mosaics.labels, strict=True):
            for row in (slice(0, 8), slice(8, 16)):
                for column in (slice(0, 8), slice(8, 16)):
                    tile, classes = image[row, column].contiguous(), target[row, column]
                    seen.append(bytes(tile.numpy()))
                    assert torch.equal(classes, torch.where(tile >= 8, known[seen[-1]], 10))
        assert set(seen) <= set(known)
        assert of is not digits.testing() or len(set(seen)) == len(known) == 500


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model=small_cnn", "~model.low", "~model.high"), r"SmallCNN needs labelled images .* Diabetes has no labels"),
        (("noise=ssn",), "Splitting needs quantised images, and Diabetes has none"),
    ],
)
def test_measurements_are_no_images(settings, overrides, message):
    plain = settings("experiment=diabetes_median", *overrides)
    with pytest.raises(SettingError, match=message):
        build_base_function(plain, Diabetes())


def test_noise_is_on_a_grid_where_inputs_are():
    """Pixels k/16 are; measurements are not."""

    class Plain:
        noise = model = None

    from experiments.config.settings import Group

    Plain.noise = Group.from_dict({"_target_": "smoothing.Gaussian", "sigma": 0.5, "grid": None})
    Plain.model = Group.from_dict({"_target_": "models.Segmenter"})
    assert new_noise(Plain, DigitMosaics()).grid == 16
    assert new_noise(Plain, Diabetes()).grid is None
