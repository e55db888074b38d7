"""The l1 figure of center smoothing, and images of base functions and of smoothed functions."""

import math
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[4]


def test_deterministic_curves_have_one_for_each_sigma(write_center_run, drawn, tmp_path, capsys):
    for sigma in (0.5, 1.0):
        noise = {"type": "DeterministicSplitting", "sigma": sigma, "seed": 0}
        certifier = {"type": "ExactCenterSmoothing"}  # takes no n
        given = {"noise": noise, "certifier": certifier, "eps": (0.25, 0.5, 1.0), "failure_probability": 0}
        values = (1.0, 2.0, inf) if sigma == 1 else (1.0, inf, inf)
        write_center_run("digits_l1_tvd", "Digits", "Autoencoder", "TotalVariation", sigma, values, **given)
    write_center_run("digits_l1_tvd", "Digits", "Autoencoder", "TotalVariation", 0.25)  # Gaussian: not of this figure
    (png,) = drawn("center_l1", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["sigma"].tolist() == [0.5] * 3 + [1.0] * 3
    assert table["eps_out"].tolist() == [inf] * 3 + [2.0, 3.0, 4.5]
    assert not png.with_suffix(".claims.csv").exists()
    assert "largest failure probability of a certificate: 0" in capsys.readouterr().out


@pytest.fixture
def image_run(write_center_run):
    """A run of four examples with stored draws of images. The last example abstains."""
    values, errors = (1.0, 2.0, 3.0, math.nan), (0.1, 0.2, 0.3, 0.4)
    folder = write_center_run("imagenet_lpips", "Latents", "BigGAN", "LPIPS", 0.02, values, errors)
    (folder / "draws").mkdir()
    for index in range(4):
        base = torch.linspace(0, 1, 3 * 16 * 16).view(3, 16, 16).numpy()
        stored = {"base_output": base, "center": base * 0.5, "center_radius": 0.1, "n": 10, "inside": 6}
        stored |= {"distances": np.zeros(4), "smoothing_error": errors[index], "seconds": 1.0}
        np.savez_compressed(folder / "draws" / f"{index}.npz", **stored)
    return folder


def test_fig_4b_shows_what_was_kept(image_run, drawn, tmp_path):
    (png,) = drawn("center_generator_images", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["index"].tolist() == [0, 1, 2, 3]
    assert table["status"].tolist() == ["certified"] * 3 + ["abstained"]
    assert table["mean_absolute_difference"].tolist() == [pytest.approx(0.25)] * 4
    claims = pd.read_csv(png.with_suffix(".claims.csv"))
    assert claims["ours"].tolist() == [pytest.approx(0.25)]
    assert not claims["within"].any()  # a quarter of the range of the pixels is not alike
    (fewer,) = drawn("center_generator_images", tmp_path, columns=2)
    assert len(pd.read_csv(fewer.with_suffix(".csv"))) == 2


def test_images_need_kept_draws_of_images(image_run, write_center_run, drawn, tmp_path):
    for path in (image_run / "draws").glob("*.npz"):
        path.unlink()
    assert drawn("center_generator_images", tmp_path) == []
    assert drawn("center_generator_images", tmp_path, source=ROOT / "results" / "faces_jaccard") == []  # boxes
