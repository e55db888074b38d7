"""Runs with noise on the data's grid: the grid's origin, and its effect on a run's identity."""

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.config.identity import description, identity, identity_hash
from experiments.data import Digits
from experiments.training import checkpoints
from experiments.training.base_function import new_noise
from smoothing import SettingError


@pytest.mark.parametrize(
    ("overrides", "grid"),
    [
        (["experiment=digits_gaussian"], 16),
        (["experiment=digits_uniform"], 16),
        (["experiment=digits_gaussian", "noise.grid=48"], 48),
        (["experiment=digits_gaussian", "noise.grid=0"], None),
        (["experiment=digits_tvd"], 16),
        (["experiment=digits_tvd", "model=reconstructor", "~model.bottleneck"], None),  # its inputs are not pixels
        (["experiment=demo"], 255),
        (["experiment=faces_jaccard"], None),  # upscaled photographs do not have the levels
        (["experiment=faces_jaccard", "noise.grid=255"], 255),
    ],
)
def test_noise_is_on_the_grid_that_the_images_are_on(settings, overrides, grid):
    plain = settings(*overrides)
    assert new_noise(plain, plain.dataset.build()).grid == grid


@pytest.mark.parametrize("size", ["null", "20"])
def test_a_folder_of_images_has_the_grid_of_its_bytes(settings, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    where = ("experiment=demo", "dataset=folder", f"dataset.root={tmp_path}", f"dataset.size={size}")
    plain = settings(*where)
    dataset = plain.dataset.build()
    assert new_noise(plain, dataset).grid == dataset.levels == 255
    assert torch.equal(dataset[0] * 255, (dataset[0] * 255).round()), "shrunk images are bytes again"
    assert new_noise(settings(*where, "noise.grid=0"), dataset).grid is None
    with pytest.raises(SettingError, match=r"needs images of one known size, and ImageFolder has none \(no shape\)"):
        new_noise(settings("experiment=digits_dssn", *where[1:3]), dataset)


def test_a_checkpoint_is_found_whatever_the_grid(settings):
    names = {
        checkpoints.folder(settings("experiment=digits_gaussian", f"noise.grid={grid}"), Digits())
        for grid in ("null", 0, 16, 255)
    }
    assert len(names) == 1
    assert description(settings("experiment=digits_gaussian").noise) == {"type": "Gaussian", "sigma": 0.25}


def test_a_run_on_a_grid_is_another_run_than_one_without(settings):
    plain = settings("experiment=digits_gaussian")
    assert identity(plain, "", None, None) == identity(plain, "")
    assert identity(plain, "", None, 16) == identity(plain, "") | {"grid": 16}
    assert len({identity_hash(identity(plain, "", None, grid)) for grid in (None, 16, 255)}) == 3


def test_the_message_says_what_to_do_where_noise_is_lost_on_the_grid(settings):
    with pytest.raises(SettingError, match=r"noise\.grid: noise of 0\.02 is 0\.32 steps of 1/16.*multiple"):
        new_noise(settings("experiment=digits_gaussian", "noise.sigma=0.02"), Digits())
    noise = new_noise(settings("experiment=digits_gaussian", "noise.sigma=0.02", "noise.grid=64"), Digits())
    assert noise.grid == 64


def test_a_sigma_that_is_too_large_for_the_grid_is_named(settings):
    with pytest.raises(SettingError, match=r"^noise\.sigma: too large: noise of 1e\+09 is 1\.6e\+10 steps of 1/16"):
        new_noise(settings("experiment=digits_gaussian", "noise.sigma=1e9"), Digits())
    with pytest.raises(SettingError, match=r"^noise\.grid: noise of 1e\+09 is"):
        new_noise(settings("experiment=digits_gaussian", "noise.sigma=1e9", "noise.grid=16"), Digits())
