"""Levine and Feizi's curves, from made-up counts: the drawn numbers match those computed by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments.report.figure import drawings
from smoothing import Uniform
from smoothing.class_bounds import ClassBounds
from smoothing.classifier_guarantee import certificate

N, ALPHA = 1000, 0.001
SHARES = [1.0, 0.95, 0.9, 0.8, 0.7, 0.55, 1.0, 0.4]  # of the votes that class A has


def test_undefended_and_gaussian_runs_are_left_out(l1_runs, drawn):
    folder = l1_runs / "digits_undefended" / "clean"
    folder.mkdir(parents=True)
    pd.DataFrame([{"index": 0, "label": 1}]).to_csv(folder / "certificates.csv", index=False)
    identity = {"certifier": {"type": "DeepFool"}, "model": {"type": "SmallCNN"}}
    (folder / "run.json").write_text(json.dumps({"identity": identity, "config": {"name": "digits_undefended"}}))
    assert len(drawn("dssn_all", l1_runs, source=l1_runs)) == 1


def test_curves_of_the_methods(l1_runs, drawn):
    (path,) = drawn("dssn_methods", l1_runs, files=True)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert sorted(table["sigma"].unique()) == [0.25, 0.5, 2.0]
    assert len(table.groupby(["method", "sigma", "stability_training"])) == 18
    for _, curve in table.groupby(["method", "sigma", "stability_training"]):
        assert curve["accuracy"].is_monotonic_decreasing
        assert curve["accuracy"].iloc[-1] == 0  # beyond lambda
        assert curve["high"].iloc[-1] == 0
        assert (curve["low"] <= curve["accuracy"]).all()
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    growth = claims[claims["quantity"].str.contains("smallest sigma less")]
    assert growth["case"].str.contains("sigma = 0.25 and 2").all()
    assert len(growth) == 2
    mean = {}
    for method in ("uniform", "DSSN"):
        for sigma in (0.25, 2.0):
            curve = table.query("method == @method and sigma == @sigma and not stability_training")
            mean[method, sigma] = np.trapezoid(curve["accuracy"], curve["radius"]) / (3**0.5 * sigma)
    by_area = (mean["DSSN", 0.25] - mean["uniform", 0.25]) - (mean["DSSN", 2.0] - mean["uniform", 2.0])
    assert growth["ours"].iloc[0] == pytest.approx(by_area, abs=0.005)


def test_uniform_noise_on_a_grid_is_drawn_with_splitting_noise(tmp_path, write_l1_run, drawn):
    """certify.py rounds uniform noise to a grid. Splitting noise needs no grid."""
    for method in ("uniform", "ssn", "dssn"):
        write_l1_run(tmp_path, method, 0.5)
    (path,) = (tmp_path / "digits_uniform").glob("*/run.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"identity": record["identity"] | {"grid": 16}}))
    (path,) = drawn("dssn_methods", tmp_path)
    assert set(pd.read_csv(path.with_suffix(".csv"))["method"]) == {"uniform", "SSN", "DSSN"}


@pytest.mark.parametrize(
    ("sigmas", "middle", "largest"), [([0.25], 0, 0), ([0.25, 2.0], 0, 1), ([0.25, 0.5, 2.0], 1, 1)]
)
def test_claims_about_a_middle_and_a_largest_sigma_need_others_beside_it(
    tmp_path, sigmas, middle, largest, write_l1_run, drawn
):
    for sigma in sigmas:
        for method in ("uniform", "ssn", "dssn"):
            write_l1_run(tmp_path, method, sigma)
    (path,) = drawn("dssn_methods", tmp_path)
    file = path.with_suffix(".claims.csv")
    claimed = pd.read_csv(file)["quantity"] if file.exists() else pd.Series(dtype=str)
    assert claimed.str.contains("at the middle sigma").sum() == 2 * middle  # DSSN above both; these alike
    assert claimed.str.contains("SSN over uniform noise at the largest sigma").sum() == largest


def test_one_row_of_panels_without_stability_runs(tmp_path, write_l1_run, drawn):
    write_l1_run(tmp_path, "dssn", 0.5)
    (path,) = drawn("dssn_methods", tmp_path)
    assert pd.read_csv(path.with_suffix(".csv"))["stability_training"].unique().tolist() == [False]
    assert not path.with_suffix(".claims.csv").exists()


def test_imagenet_curves_take_their_own_sigmas(tmp_path, write_l1_run, drawn):
    for sigma in (0.25, 0.5, 2.0):
        for method in ("uniform", "dssn"):
            write_l1_run(tmp_path, method, sigma, data="imagenet")
            write_l1_run(tmp_path, method, sigma, data="imagenet", stability=6.0)
    (path,) = drawn("dssn_imagenet", tmp_path)
    assert path.name == "dssn_imagenet-imagenet.png"
    assert sorted(pd.read_csv(path.with_suffix(".csv"))["sigma"].unique()) == [0.5, 2.0]
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    ratio = claims[claims["quantity"].str.startswith("clean accuracy")]
    assert ratio["ours"].tolist() == [1.0]
    assert ratio["within"].tolist() == [False]
    assert len(claims) == 1 + 2 * 4


def test_the_largest_radius_is_compared_where_dssn_can_certify_it_for_every_class(tmp_path, write_l1_run, figure):
    sigma = 0.5935  # L = 32: all 32 votes for class 3 certify 15/16, for class 0 they would certify 16/16
    for method in ("uniform", "dssn"):
        write_l1_run(tmp_path, method, sigma, [1.0] * 8, [True] * 8, data="imagenet")
    assert certificate(3, N, 0, N, 64, Uniform(sigma), ClassBounds(ALPHA), 10).radius > 1
    methods = figure("dssn_imagenet")
    methods.sigma = [sigma]
    path = drawings("dssn_imagenet", methods, tmp_path, None, tmp_path / "figures")[0].path
    each, mean = pd.read_csv(path.with_suffix(".claims.csv")).to_dict("records")
    assert each["ours"] == 0
    assert each["within"]
    assert mean["ours"] > 0  # the mean over all radii up to lambda
    assert not mean["within"]


def test_the_claims_about_sigma_015_and_the_middle(tmp_path, write_l1_run, drawn):
    """The mean gap in certified accuracy over radii up to lambda equals the mean difference of radii / lambda."""
    for sigma, uniform, ssn, dssn in ((0.15, 0.15, 0.0, 0.0), (0.5, 0.0, 0.01, 0.05), (2.0, 0.0, 0.02, 0.04)):
        for method, more in (("uniform", uniform), ("ssn", ssn), ("dssn", dssn)):
            shares = [min(1.0, s + more) for s in SHARES]
            write_l1_run(tmp_path, method, sigma, shares, data="cifar10", levels=255, stability=6.0)
            write_l1_run(tmp_path, method, sigma, shares, data="cifar10", levels=255)
    (path,) = drawn("dssn_methods", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    least = claims.loc["mean gap of DSSN over uniform noise with stability training at sigma = 0.15"]
    assert least["case"] == "cifar10, sigma = 0.15"
    assert least["ours"] < 0
    alike = claims.loc["mean gap between uniform noise and SSN less that of DSSN over the better at the middle sigma"]
    assert alike["case"].tolist() == [f"cifar10, {row} stability training, sigma = 0.5" for row in ("without", "with")]
    assert alike["within"].all()
    mean = {}
    table = pd.read_csv(path.with_suffix(".csv")).query("sigma == 0.5 and not stability_training")
    for method, curve in table.groupby("method"):
        mean[method] = np.trapezoid(curve["accuracy"], curve["radius"]) / (3**0.5 * 0.5)
    by_area = abs(mean["SSN"] - mean["uniform"]) - (mean["DSSN"] - max(mean["SSN"], mean["uniform"]))
    assert alike["ours"].iloc[0] == pytest.approx(by_area, abs=0.005)


def test_other_experiments_are_left_out_of_the_papers_figures(l1_runs, drawn):
    assert drawn("dssn_imagenet", l1_runs, source=l1_runs) == []


def test_every_sigma(l1_runs, drawn):
    (path,) = drawn("dssn_all", l1_runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert len(table.groupby(["method", "sigma", "stability_training"])) == 18


def test_denoised_runs_stand_beside_the_others(l1_runs, write_l1_run, drawn):
    for method in ("uniform", "dssn"):
        write_l1_run(l1_runs, method, 0.5, [min(1.0, s + 0.1 * (method == "dssn")) for s in SHARES], denoised=True)
    (path,) = drawn("dssn_denoiser", l1_runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert sorted(set(zip(table["method"], table["sigma"], table["denoiser"], strict=True))) == [
        *(("DSSN", 0.5, trained) for trained in ("MSE", "none")),
        ("SSN", 0.5, "none"),
        *(("uniform", 0.5, trained) for trained in ("MSE", "none")),
    ]
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["case"].tolist() == [
        "digits, without denoiser, sigma = 0.5",
        "digits, with denoiser (MSE), sigma = 0.5",
    ]
    assert (claims["within"] == (claims["ours"] < 0)).all()
    (table_path,) = drawn("dssn_table_digits", l1_runs)
    assert "denoiser" not in table_path.read_text()


def test_each_training_of_the_denoiser_has_a_row(tmp_path, write_l1_run, drawn):
    for method in ("uniform", "ssn", "dssn"):
        write_l1_run(tmp_path, method, 0.5)
        for loss in ("mse", "stability", "mse_retrain"):
            write_l1_run(tmp_path, method, 0.5, denoised=True, loss=loss)
    (path,) = drawn("dssn_denoiser", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    rows = ["none", "MSE", "stability", "MSE, classifier retrained"]
    assert set(zip(table["method"], table["denoiser"], strict=True)) == {
        (method, row) for method in ("uniform", "SSN", "DSSN") for row in rows
    }
    cases = pd.read_csv(path.with_suffix(".claims.csv"))["case"].tolist()
    assert cases == [
        "digits, without denoiser, sigma = 0.5",
        *(f"digits, with denoiser ({row}), sigma = 0.5" for row in rows[1:]),
    ]


def test_a_denoiser_figure_takes_runs_with_one(l1_runs, drawn):
    assert drawn("dssn_denoiser", l1_runs) == []


def test_times_and_their_ratio(tmp_path, capsys, write_l1_run, drawn):
    for sigma, seconds in ((0.5, 0.06), (1.0, 0.12), (3.5, 0.41)):
        write_l1_run(tmp_path, "dssn", sigma, seconds=seconds, data="cifar10", levels=255)
        write_l1_run(tmp_path, "uniform", sigma, seconds=13.44, data="cifar10")
        write_l1_run(tmp_path, "uniform", sigma, seconds=99.0, data="cifar10", stability=6.0)
    (path,) = drawn("dssn_time", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    assert claims.loc["mean seconds of uniform noise over those of DSSN at sigma = 3.5", "ours"] == 13.44 / 0.41
    assert claims.loc["slope of log seconds of DSSN against log sigma", "ours"] == pytest.approx(0.99, abs=0.01)
    assert claims["within"].all()
    table = pd.read_csv(path.with_suffix(".csv")).set_index(["method", "sigma"])
    assert table.loc[("DSSN", 3.5), "evaluations"] == 3091
    assert table.loc[("uniform", 3.5), "evaluations"] == N + 64
    printed = capsys.readouterr().out
    assert "sigma = 3.5: the ratio of uniform noise to DSSN is 32.8 in mean seconds" in printed
    assert "DSSN ran on: a made-up machine" in printed


def test_times_of_other_images_are_not_held_against_the_paper(tmp_path, capsys, write_l1_run, drawn):
    write_l1_run(tmp_path, "dssn", 3.5)
    write_l1_run(tmp_path, "uniform", 3.5)
    (path,) = drawn("dssn_time", tmp_path)
    assert not path.with_suffix(".claims.csv").exists()
    assert "not compared with the paper's times" in capsys.readouterr().out


@pytest.mark.slow
def test_the_same_runs_give_the_same_bytes(l1_runs, tmp_path, figure):
    once, again = (drawings("m", figure("dssn_methods"), l1_runs, None, tmp_path / name)[0].path for name in ("a", "b"))
    for suffix in (".png", ".pdf", ".svg", ".csv", ".claims.csv"):
        assert once.with_suffix(suffix).read_bytes() == again.with_suffix(suffix).read_bytes()
