"""Levine and Feizi's figures that need no runs: they draw the noises that are used for certificates."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.data import Digits
from experiments.data.photographs import NAMES, Photographs
from experiments.papers.levine2021.joint import (
    CORRELATED,
    LEVELS,
    MOVED,
    PANELS,
    THRESHOLD,
    X,
    additive,
    equal_splits,
    probability,
    splitting,
    total_variation,
)
from experiments.papers.levine2021.noise_values import splitting_range, uniform_range
from smoothing import DeterministicSplitting, SettingError, Splitting, Uniform
from smoothing.streams import Stage, Stream


def block():
    return Stream(0, 0, Stage.PREDICTION).block(0, torch.device("cpu"))


@pytest.mark.parametrize("lam", [0.1, 0.25, 0.5, 0.8, 1.5])
def test_the_possible_values_are_those_that_samples_take(lam):
    x = torch.arange(101) / 100
    for noise, expected in (
        (Splitting(lam / 3**0.5, 100), splitting_range(x.numpy().astype(float), lam)),
        (Uniform(lam / 3**0.5), uniform_range(x.numpy().astype(float), lam)),
    ):
        values = noise.sample(x, 20_000, block()).numpy()
        low, high = expected
        assert (values >= low - 1e-6).all()
        assert (values <= high + 1e-6).all()
        assert np.allclose(values.min(axis=0), low, atol=0.003 * max(1, lam))
        assert np.allclose(values.max(axis=0), high, atol=0.003 * max(1, lam))


def test_noise_values(tmp_path, drawn):
    (path,) = drawn("dssn_noise_values", tmp_path, files=True)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert sorted(table["lambda"].unique()) == [0.25, 0.5, 1.5]
    samples = table[[name for name in table if name.startswith("sample_")]].to_numpy()
    assert (samples >= table[["low"]].to_numpy() - 1e-6).all()
    assert (samples <= table[["high"]].to_numpy() + 1e-6).all()
    no_information = (samples == 0.5)[((table["noise"] == "SSN") & (table["lambda"] == 1.5)).to_numpy()]
    assert no_information.mean() == pytest.approx((2 * 1.5 - 1) / (2 * 1.5), abs=0.1)  # equation 21
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["ours"].tolist() == pytest.approx([1, 0])
    assert claims["within"].all()


def test_images_are_one_sample_of_each_noise(tmp_path, drawn):
    (path,) = drawn("dssn_images", tmp_path, sigma=[0.5, 2.0], index=7)
    table = pd.read_csv(path.with_suffix(".csv"))
    clean = table[table["noise"] == "none"]
    assert np.allclose(clean["value"], Digits()[7].flatten())
    for sigma in (0.5, 2.0):
        dssn, uniform = (table[(table["noise"] == n) & (table["sigma"] == sigma)] for n in ("DSSN", "uniform"))
        every = torch.cat(list(DeterministicSplitting(sigma, 16, (1, 8, 8)).enumerate(Digits()[7], 1000))).flatten(1)
        assert (np.abs(every.numpy() - dssn["value"].to_numpy()).max(axis=1) < 1e-6).sum() >= 1
        assert (dssn["value"] == dssn["shown"]).all()
        lam = 3**0.5 * sigma
        assert np.allclose(uniform["shown"], (uniform["value"] + lam) / (1 + 2 * lam), atol=1e-6)
        assert uniform["shown"].between(0, 1).all()
        assert (uniform["value"].to_numpy() - clean["value"].to_numpy()).std() == pytest.approx(sigma, rel=0.25)


def test_images_of_unlabelled_data_are_refused(tmp_path, drawn):
    with pytest.raises(SettingError, match=r"expected a labelled data set; set .*experiments\.data\.Digits"):
        drawn("dssn_images", tmp_path, dataset={"_target_": "experiments.data.Faces"})


def test_joint_laws(tmp_path, drawn):
    (path,) = drawn("dssn_joint", tmp_path)
    ours = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    assert ours["within"].all()
    assert ours.loc["p(x) under correlated uniform noise", "ours"] == 1
    assert ours.loc["p(x') under correlated uniform noise", "ours"] == 0
    over_bound = "total variation distance over |x - x'| / (2 lambda) under"
    assert ours.loc[f"{over_bound} independent uniform noise", "ours"] == pytest.approx((1 - 0.8**2) / 0.4)
    assert ours.loc[f"{over_bound} correlated splitting noise", "ours"] == pytest.approx(1)
    assert len(pd.read_csv(path.with_suffix(".csv"))) == 2 * (LEVELS**2 + 2 * LEVELS)


def test_marginals_of_the_joint_laws_are_uniform():
    for noise, indices in PANELS.values():
        if noise is additive:
            values = np.unique(np.round(additive(X, indices)[:, 0] - X[0], 9), return_counts=True)
            assert np.allclose(values[0], (np.arange(LEVELS) + 0.5) / LEVELS - 0.5)
            assert len(set(values[1])) == 1


def test_the_propositions_classifier_by_simulation():
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, 100_000)
    assert np.mean(X[0] + noise > THRESHOLD + X[1] + noise) == probability(additive(X, CORRELATED)) == 1
    s = rng.uniform(0, 1, 100_000)
    for point in (X, MOVED):
        halves = [np.where(coordinate > s, 1 + s, s) for coordinate in point]  # 2 x~, equation 7 with lambda = 1/2
        simulated = np.mean(halves[0] > THRESHOLD + halves[1])
        assert probability(splitting(point, CORRELATED)) == pytest.approx(simulated, abs=0.01)


def test_correlated_splitting_keeps_the_bound_for_any_two_points():
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(50):
        x, moved = rng.integers(0, LEVELS + 1, (2, 2)) / LEVELS
        bound = np.abs(x - moved).sum()
        offset = rng.integers(0, LEVELS, 2)
        together = (CORRELATED + offset) % LEVELS
        assert total_variation(splitting(x, together), splitting(moved, together)) <= min(1, bound) + 1e-12
        broken += total_variation(additive(x, CORRELATED), additive(moved, CORRELATED)) > bound + 1e-12
    assert broken > 10


def test_photographs_are_told_better_under_dssn(tmp_path, drawn):
    (path,) = drawn("dssn_photographs", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["photograph"].nunique() == 4
    for index in range(len(NAMES)):
        x = Photographs()[index]
        assert x.shape == (3, 224, 224)
        assert ((x * 255).round() / 255 == x).all()  # on the grid that DSSN needs
        noisy = DeterministicSplitting(3.5, 255, (3, 224, 224)).sample(
            x, 1, Stream(0, index, Stage.PREDICTION).block(0, torch.device("cpu"))
        )[0]
        expected = np.corrcoef(x.flatten(), noisy.flatten())[0, 1]
        row = table[(table["photograph"] == NAMES[index]) & (table["noise"] == "DSSN")]
        assert row["correlation"].item() == pytest.approx(expected, abs=1e-4)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["within"].all()
    assert len(claims) == 4


def test_equation_19_by_hand(tmp_path, drawn):
    """lambda = 1.5 on 20 steps: 40 of the 60 equal positions are above 1 and leave nothing of the image."""
    noisy, positions = equal_splits(X, 1.5)
    assert len(noisy) == 60
    assert ((noisy == 0.5).all(axis=1) == (positions > 1)).all()
    assert (positions > 1).sum() == 40
    s = positions[positions < 1][:, None]
    by_definition = (np.minimum(s, 1) + (s < X)) / 2  # the paper's own words for lambda >= 1/2
    assert np.allclose(noisy[positions < 1], by_definition)
    (path,) = drawn("dssn_joint", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    equal = claims[claims["quantity"].str.contains("equation 19|equal splits")]
    assert len(equal) == 9
    assert equal["within"].all()
