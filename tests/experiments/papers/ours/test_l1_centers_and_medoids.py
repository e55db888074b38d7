"""The l1 figure of center smoothing, and images of base functions and of smoothed functions."""

import math
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[4]


@pytest.fixture
def write_l1(write_center_run):
    """write_l1(certifier, sigma, eps_out) writes a deterministic run at three input radii; eps_out at the first."""

    def write(certifier, sigma, values, started="2026-01-01"):
        noise = {"type": "DeterministicSplitting", "sigma": sigma, "seed": 0}
        given = {"noise": noise, "certifier": {"type": certifier}, "eps": (0.25, 0.5, 1.0), "failure_probability": 0}
        place = ("digits_l1_tvd", "Digits", "Autoencoder", "TotalVariation")
        write_center_run(*place, sigma, values, started=started, **given)

    return write


def test_deterministic_curves_have_a_panel_for_each_sigma(write_l1, write_center_run, drawn, tmp_path, capsys):
    for sigma in (0.5, 1.0):
        write_l1("ExactCenterSmoothing", sigma, (1.0, 2.0, inf) if sigma == 1 else (1.0, inf, inf))
    write_center_run("digits_l1_tvd", "Digits", "Autoencoder", "TotalVariation", 0.25)  # Gaussian: not of this figure
    (png,) = drawn("center_l1", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["sigma"].tolist() == [0.5] * 3 + [1.0] * 3
    assert table["eps_out"].tolist() == [inf] * 3 + [2.0, 3.0, 4.5]
    assert set(table["certificate"]) == {"center smoothing"}
    assert not png.with_suffix(".claims.csv").exists()
    said = capsys.readouterr().out
    assert "largest failure probability of a certificate: 0" in said
    assert "there are no balanced results, so only the paper's certificate is drawn" in said


@pytest.mark.parametrize(("ours", "ratio"), [((0.5, 1.0, math.nan), 0.5), ((2.0, 4.0, 6.0), 2.0)])
def test_deterministic_certificates_are_compared_at_each_sigma(write_l1, drawn, tmp_path, capsys, ours, ratio):
    write_l1("ExactCenterSmoothing", 0.5, (1.0, inf, inf))
    write_l1("ExactCenterSmoothing", 1.0, (1.0, 2.0, 3.0))
    for sigma in (0.5, 1.0):
        write_l1("ExactBalancedCenterSmoothing", sigma, ours, started="2026-01-02")
    (png,) = drawn("center_l1", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["certificate"].tolist() == (["center smoothing"] * 3 + ["balanced"] * 3) * 2
    claims = pd.read_csv(png.with_suffix(".claims.csv")).set_index("case")
    panel = "Digits, dimensionality reduction"
    assert claims.loc[f"{panel}, sigma = 1", "ours"] == ratio
    assert claims.loc[f"{panel}, sigma = 1", "within"] == (ratio < 1)
    assert claims.loc[f"{panel}, sigma = 0.5", "within"]  # only ours has a certificate for half of the examples
    assert "at 0 input radii: nothing to compare; at 3 more, only balanced is finite" in capsys.readouterr().out


@pytest.fixture
def image_run(write_center_run):
    """A run of four examples with stored draws of images. The last example abstains."""
    values, errors = (1.0, 2.0, 3.0, math.nan), (0.1, 0.2, 0.3, 0.4)
    folder = write_center_run("imagenet_lpips", "Latents", "BigGAN", "LPIPS", 0.02, values, errors)
    (folder / "draws").mkdir()
    for index in range(4):
        base = torch.linspace(0, 1, 3 * 16 * 16).view(3, 16, 16).numpy()
        stored = {"base_output": base, "center": base * 0.5, "center_radius": 0.1, "n": 10, "inside": 6}
        stored |= {"distances": np.full(4, 0.1), "smoothing_error": errors[index], "seconds": 1.0}
        np.savez_compressed(folder / "draws" / f"{index}.npz", **stored)
    return folder


def test_fig_4b_shows_what_was_kept(image_run, drawn, tmp_path):
    (png,) = drawn("center_generator_images", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["index"].tolist() == [0, 1, 2, 3]
    assert table["status"].tolist() == ["certified"] * 3 + ["abstained"]
    assert table["mean_absolute_difference"].tolist() == [pytest.approx(0.25)] * 4
    claims = pd.read_csv(png.with_suffix(".claims.csv"))
    assert claims["ours"].tolist() == [pytest.approx(0.25)]  # of four, one abstained: it counts as infinite
    assert not claims["within"].any()  # a quarter of the range of the pixels is not alike
    (fewer,) = drawn("center_generator_images", tmp_path, columns=2)
    assert len(pd.read_csv(fewer.with_suffix(".csv"))) == 2


def test_images_need_kept_draws_of_images(image_run, write_center_run, drawn, tmp_path, committed):
    for path in (image_run / "draws").glob("*.npz"):
        path.unlink()
    assert drawn("center_generator_images", tmp_path) == []
    assert drawn("center_generator_images", tmp_path, source=committed / "faces_jaccard") == []  # boxes
