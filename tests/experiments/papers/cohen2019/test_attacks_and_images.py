"""Cohen et al.'s attacks, baselines and noisy images, from made-up runs or without runs."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure as MatplotlibFigure
from scipy.stats import beta

from experiments.data import Digits
from experiments.papers.cohen2019.noisy_images import halved, noise_of, portrait
from experiments.report.figure import CONF
from smoothing import Gaussian, SettingError, SmoothedClassifier

CERTIFY = {"type": "Certify", "n0": 100, "n": 1000, "alpha": 0.001}
DEEPFOOL = {"type": "DeepFool", "steps": 50, "candidates": 10, "overshoot": 0.02}
ATTACK = {"type": "Attack", "n0": 100, "n": 1000, "alpha": 0.001, "factors": [1.0, 1.5, 2.0]}


@pytest.fixture
def certified(write_run):
    """Runs of an experiment with four examples: one is misclassified, and none is certified beyond sigma."""

    def write(root, experiment="digits_gaussian", sigmas=(0.25, 0.5)):
        for sigma in sigmas:
            rows = [
                {"index": i, "label": 3, "predict": p, "radius": r * sigma, "correct": p == 3, "n_a": 990, "n": 1000}
                for i, (p, r) in enumerate([(3, 1.0), (3, 0.8), (3, 0.2), (4, 0.9)])
            ]
            write_run(root / experiment / f"sigma={sigma}", rows, CERTIFY, sigma, sigma)

    return write


@pytest.fixture
def attacked(write_run):
    """A run of DeepFool: one example is misclassified, and one resists the attack."""

    def write(folder, distances=(0.1, 0.3, 0.0, math.inf), trained=None, **others):
        rows = [{"index": i, "distance": d, "correct": d > 0} for i, d in enumerate(distances)]
        write_run(folder, rows, DEEPFOOL, None, trained, **others)

    return write


def shown(path):
    return pd.read_csv(path.with_suffix(".csv"))


def test_the_undefended_bound_is_the_share_of_larger_distances(drawn, certified, attacked, tmp_path):
    certified(tmp_path)
    attacked(tmp_path / "digits_undefended" / "clean")
    (path,) = drawn("cohen_curves", tmp_path)
    table = shown(path)
    bound = table[table["curve"] == "undefended, upper bound (DeepFool)"]
    expected = [np.mean([d > r for d in (0.1, 0.3, 0, math.inf)]) for r in bound["radius"]]
    assert bound["accuracy"].tolist() == expected
    assert {0.75, 0.5, 0.25} == set(expected)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("case")
    end = bound["radius"].iloc[-1]
    assert claims.loc["largest with sigma = 0.5", "ours"] == pytest.approx((0.1 + 0.3 + 0 + end) / (0.5 * 2.0))


def test_the_bound_is_drawn_only_for_the_same_network_trained_without_noise(drawn, certified, attacked, tmp_path):
    certified(tmp_path)
    curves = ["sigma = 0.25", "sigma = 0.5"]
    assert shown(*drawn("cohen_curves", tmp_path))["curve"].unique().tolist() == curves
    attacked(tmp_path / "digits_undefended" / "noisy", trained=0.25)
    assert shown(*drawn("cohen_curves", tmp_path))["curve"].unique().tolist() == curves
    attacked(tmp_path / "digits_undefended" / "old", distances=(0.0,) * 4)
    attacked(tmp_path / "digits_undefended" / "new", distances=(9.0,) * 4, started="2026-02-01")
    table = shown(*drawn("cohen_curves", tmp_path))
    assert set(table[table["sigma"].isna()]["accuracy"]) == {1.0}


def attack_rows(successes):
    """Five examples, one of which is not attacked, with the given number of successes at each factor."""
    return [
        {"index": i, "label": 3, "factor": factor, "success": i < count, "status": "skipped" if i == 4 else "attacked"}
        for i in range(5)
        for factor, count in zip((1.0, 1.5, 2.0), successes, strict=True)
    ]


def test_success_shares_are_counted_over_what_was_attacked(drawn, write_run, tmp_path):
    write_run(tmp_path / "digits_gaussian" / "a", attack_rows((0, 1, 3)), ATTACK, 0.25, 0.25)
    write_run(tmp_path / "digits_gaussian" / "b", attack_rows((0, 0, 4)), ATTACK, 0.5, 0.5)
    (path,) = drawn("cohen_attack", tmp_path)
    table = shown(path)
    assert table["share"].tolist() == [0, 0.25, 0.75, 0, 0, 1]
    assert (table["attacked"] == 4).all()
    assert table["high"].iloc[1] == pytest.approx(beta.ppf(0.975, 2, 3))
    assert table["paper"].tolist()[1:3] == [0.17, 0.53]
    assert table["within"].isna().all()
    assert table["reason"].tolist()[1].startswith("not comparable")
    assert "0.25 [0.01, 0.81]" in path.read_text()
    assert pd.read_csv(path.with_suffix(".claims.csv"))["within"].tolist() == [True, True]


def test_a_success_within_the_radius_breaks_the_claim(drawn, write_run, tmp_path):
    write_run(tmp_path / "imagenet_gaussian" / "a", attack_rows((1, 2, 2)), ATTACK, 0.25, 0.25)
    (path,) = drawn("cohen_attack", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["kind"].tolist() == ["number", "number", "theorem"]
    assert claims["within"].tolist() == [True, True, False]  # four attacks tell no share, but one success is too many
    assert shown(path)["tolerance"].tolist()[1:] == pytest.approx(
        [0.054 + 2 * (0.17 * 0.83 / 4) ** 0.5, 0.065 + 2 * (0.53 * 0.47 / 4) ** 0.5], rel=1e-3
    )


def test_where_nothing_could_be_attacked_nothing_is_claimed(drawn, write_run, tmp_path):
    rows = [row | {"status": "skipped", "success": False} for row in attack_rows((0, 0, 0))]
    write_run(tmp_path / "digits_gaussian" / "a", rows, ATTACK, 1.0, 1.0)
    (path,) = drawn("cohen_attack", tmp_path)
    assert shown(path)["share"].isna().all()
    assert not path.with_suffix(".claims.csv").exists()


def test_baselines_take_the_best_sigma_at_each_radius_and_name_what_is_missing(drawn, certified, tmp_path):
    certified(tmp_path, "cifar10_gaussian")
    certified(tmp_path)  # digits: not among the baselines' data
    (path,) = drawn("cohen_baselines", tmp_path)
    table = shown(path)
    ours = table[table["method"] == "smoothing"]
    best = ours[ours["sigma"] == "largest over sigma"].set_index("radius")["accuracy"]
    assert best.loc[[0, 0.25, 0.5, 0.75]].tolist() == [0.75, 0.5, 0.25, 0]
    others = table[table["figure"].notna()]
    assert {"Wong et al. (2018)", "Tsuzuku et al. (2018)", "Zhang et al. (2018)"} < set(others["source"])
    assert others["status"].notna().all()
    assert others["accuracy"].isna().all()
    assert path.read_text().count("not reproduced: ") == 3  # the networks of others; smoothing's three are experiments
    named = others["status"].str.extract(r"experiment=(\w+)")[0].dropna()
    assert len(named) == 3
    assert all((CONF / "experiment" / f"{name}.yaml").exists() for name in named)


def test_radii_of_fig_7_are_pixels_over_a_standard_deviation(drawn, certified, tmp_path):
    certified(tmp_path, "cifar10_wong")
    for record in (tmp_path / "cifar10_wong").glob("*/run.json"):
        run = json.loads(record.read_text())
        run["identity"]["dataset"] = {"type": "CIFAR10Preprocessed", "std": [0.5, 0.5, 0.5]}
        record.write_text(json.dumps(run))
    (path,) = drawn("cohen_baselines", tmp_path)
    table = shown(path)
    best = table[table["sigma"] == "largest over sigma"].set_index("radius")["accuracy"]
    assert best.loc[[0, 0.5, 1.0, 1.5]].tolist() == [0.75, 0.5, 0.25, 0]  # at 0, 0.25, 0.5 and 0.75 of a pixel
    assert "pixels / 0.5" in path.read_text()


def test_noisy_images_are_certifys_first_estimation_sample():
    x, seen = Digits()[1], []

    def f(batch):
        if len(batch) > 64:  # not those of the probe
            seen.append(batch.clone())
        return torch.ones(len(batch), 2)

    SmoothedClassifier(f, Gaussian(0.5), seed=3).certify(x, n0=10, n=64, example=1)
    assert torch.allclose(seen[-1][10], x + noise_of(0.5, x, 3, 1), atol=1e-6)


def test_images_need_no_runs(drawn, tmp_path):
    (path,) = drawn("cohen_images", tmp_path, files=True, indices=[4], sigma=[0.25, 1.0])
    table = shown(path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert table["sigma"].tolist() == [0, 0.25, 1]
    assert table["measured_std"].tolist() == pytest.approx([0, 0.25, 1], rel=0.35)
    assert table["clipped"].iloc[0] == 0 < table["clipped"].iloc[1] < table["clipped"].iloc[2]


def test_mistakes_in_the_images_settings_are_named(drawn, tmp_path):
    with pytest.raises(SettingError, match=r"figure\.indices: Digits.*0 to 499, got 500"):
        drawn("cohen_images", tmp_path, indices=[500])
    with pytest.raises(SettingError, match=r"dataset\.rot: no such key; did you mean dataset\.root"):
        drawn("cohen_images", tmp_path, dataset={"_target_": "experiments.data.MNIST", "rot": "."})
    with pytest.raises(SettingError, match=r"figure\.halvings: expected 0 to 5, got 6"):
        drawn("cohen_resolution", tmp_path, halvings=6)


def test_twice_the_resolution_is_twice_the_radius(drawn, tmp_path):
    (path,) = drawn("cohen_resolution", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert len(claims) == 6
    assert claims["within"].all()
    assert claims["ours"].nunique() == 6  # measured, not stated
    assert shown(path)["side"].unique().tolist() == [224, 112, 56]


def test_halving_averages_squares_and_keeps_the_mean():
    x = portrait()
    assert halved(x)[1, 3, 5] == pytest.approx(float(x[1, 6:8, 10:12].mean()), abs=1e-6)
    assert float(halved(x).mean()) == pytest.approx(float(x.mean()), abs=1e-5)


def test_every_figure_of_the_paper_that_needs_no_runs_is_drawn_from_none(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(MatplotlibFigure, "savefig", lambda _, path, **__: Path(path).touch())  # rendered elsewhere
    names = [file.stem for file in (CONF / "figure").glob("cohen_*.yaml")]
    alone = sorted(name for name in names if drawn(name, tmp_path))
    assert alone == [
        *("cohen_bounds", "cohen_images", "cohen_looseness", "cohen_photographs", "cohen_resolution", "cohen_samples")
    ]
