"""Figures 4 to 8 of center smoothing and the l1 figure, from made-up certificates: the numbers match those by hand."""

import math
import shutil
from math import erf, inf, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as MatplotlibFigure
from omegaconf import OmegaConf

from experiments.papers.kumar2021 import curves
from experiments.papers.kumar2021.curves import expectation_bound
from experiments.papers.kumar2021.medians import METRICS
from experiments.report.artefacts import Status, reason_of, status_of
from experiments.report.figure import CONF, drawings
from smoothing import SettingError

FOLDER = Path(__file__).parents[4] / "experiments" / "papers" / "kumar2021"
SIGMAS = (0.1, 0.2, 0.4)


@pytest.fixture
def four_panels(write_center_run):
    """write(metric, suffix): the paper's four panels, with numbers that satisfy all of its claims."""

    def write(metric, suffix, scale=1.0):
        for dataset in ("CIFAR10", "MNIST"):
            for model, task in (("Reconstructor", "_reconstruction"), ("Autoencoder", "")):
                for eps in (0.2, 0.4, 0.6):
                    for h in (1.5, 2):
                        values = [scale * eps * v * 2 / h for v in (1.0, 2.0, 3.0)]
                        errors = [0.01 * scale * eps / h * v for v in (1.0, 2.0, 3.0)]
                        name = f"{dataset.lower()}{task}_{suffix}"
                        given = {"eps": (eps,), "started": f"2026-{h}-{eps}"}
                        write_center_run(name, dataset, model, metric, round(eps / h, 4), values, errors, **given)

    return write


def claims_of(path):
    return pd.read_csv(path.with_suffix(".claims.csv"))


def test_fig_5_has_the_papers_four_panels_in_its_order(four_panels, drawn, tmp_path):
    four_panels("TotalVariation", "tvd", scale=100.0)
    (png,) = drawn("center_tvd", tmp_path)
    assert png.name == "center_tvd-mnist_cifar10.png"
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["panel"].unique().tolist() == [
        "MNIST, dimensionality reduction",
        "MNIST, reconstruction",
        "CIFAR10, dimensionality reduction",
        "CIFAR10, reconstruction",
    ]
    for row in table.itertuples():
        assert row.eps_out == pytest.approx(100 * row.eps_in * 2.0 * 2 / row.h)  # the middle one of three
        assert row.smoothing_error == pytest.approx(row.eps_in / row.h * 2.0)
    yardstick = table.groupby("panel")["the paper's yardstick"].first()
    largest = table.groupby("panel")["largest between two images"].first()
    for data, printed, true in (("MNIST", 1458, 3024), ("CIFAR10", 5766, 11904)):
        for task in ("dimensionality reduction", "reconstruction"):
            assert (yardstick[f"{data}, {task}"], largest[f"{data}, {task}"]) == (printed, true)
    claims = claims_of(png)
    assert len(claims) == 4 * (4 + 4 + 2 + 1)
    assert claims["within"].all()


def test_the_largest_total_variation_is_that_of_checkerboards(write_center_run, drawn, tmp_path):
    write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", 0.2)
    (png,) = drawn("center_tvd", tmp_path)
    board = (np.indices((8, 8)).sum(axis=0) % 2) * 2.0 - 1.0  # the difference of two images, as rough as can be
    rough = sum(np.abs(np.diff(board, axis=axis)).sum() for axis in (0, 1))
    table = pd.read_csv(png.with_suffix(".csv"))
    assert (table["largest between two images"] == rough).all()
    assert "the paper's yardstick" not in table


def test_embedded_runs_are_drawn_alone_and_clean_training_is_left_out(write_center_run, drawn, tmp_path):
    write_center_run("cifar10_tvd", "CIFAR10", "Autoencoder", "TotalVariation", 0.2)
    for sigma in SIGMAS:
        write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", sigma, noisy=False)
        write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", sigma, (4.0, 5.0, 6.0))
    digits, paper = drawn("center_tvd", tmp_path)
    assert (digits.name, paper.name) == ("center_tvd-digits.png", "center_tvd-mnist_cifar10.png")
    table = pd.read_csv(digits.with_suffix(".csv"))
    assert table["panel"].unique().tolist() == ["Digits, dimensionality reduction"]
    assert sorted(table["eps_out"].unique()) == [5.0, 7.5]


def test_claims_that_do_not_hold_are_said_not_to(write_center_run, drawn, tmp_path, capsys):
    for sigma, out in zip(SIGMAS, (3.0, 2.0, 4.0), strict=True):
        write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", sigma, (out,), (3.5,))
    (png,) = drawn("center_tvd", tmp_path)
    claims = claims_of(png).set_index(["quantity", "case"])
    growth = "largest median eps_out over that at the next larger eps_in"
    case = "Digits, dimensionality reduction, h = 1.5"
    assert claims.loc[(growth, case), "ours"] == 1.5
    assert claims.loc[("largest median smoothing error over eps_out", case), "ours"] == 1.75
    assert claims.loc[("largest median smoothing error over that at the next larger eps_in", case), "ours"] == 1
    ends = claims.loc[("median eps_out at the smallest eps_in over that at the largest", case)]
    assert ends["ours"] == 0.75
    assert ends["within"]  # all of it has the noise of one example: none
    assert claims["within"].sum() == 2  # for both h
    assert not claims.index.get_level_values("quantity").str.contains("larger h").any()  # at no eps_in are there two h
    assert "does not hold" in capsys.readouterr().out


def test_abstentions_and_failures_are_infinite_in_the_medians_and_told(write_center_run, drawn, tmp_path, capsys):
    for sigma, values in zip(SIGMAS, ((1.0, 2.0, inf), (1.0, inf, inf), (math.nan, math.nan, 1.0)), strict=True):
        write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", sigma, values)
    (png,) = drawn("center_tvd", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv")).query("h == 2").set_index("sigma")
    assert table["eps_out"].tolist() == [3.0, inf, inf]
    assert table["smoothing_error"].tolist() == [0.2, 0.2, inf]  # an error needs no certificate, but a center
    assert table["abstained"].tolist() == [0, 0, pytest.approx(2 / 3)]
    printed = capsys.readouterr().out
    assert "eps_in = 0.8: of 3 examples, 67% abstained and 0% failed" in printed
    assert "eps_in = 0.4: of 3 examples, 0% abstained and 67% failed" in printed


def test_of_two_trainings_the_last_counts_and_other_networks_have_other_panels(write_center_run, drawn, tmp_path):
    arguments = ("digits_tvd", "Digits", "Autoencoder", "TotalVariation", 0.2)
    write_center_run(*arguments, (7.0,), (0.1,), started="2026-02-01")
    write_center_run(*arguments, (1.0,), (0.1,))
    (png,) = drawn("center_tvd", tmp_path)
    assert pd.read_csv(png.with_suffix(".csv")).query("h == 1.5")["eps_out"].tolist() == [7.0]
    shutil.rmtree(tmp_path / "digits_tvd")
    for width, out in ((16, 3.0), (32, 5.0), (None, 6.0)):
        write_center_run(
            *arguments, (out,), (0.1,), arguments={"bottleneck": width} if width else {}, started=f"2026-03-{width}"
        )
    (png,) = drawn("center_tvd", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv")).query("h == 1.5").set_index("panel")["eps_out"]
    assert table["Digits, dimensionality reduction (model.bottleneck=16)"] == 3
    assert table["Digits, dimensionality reduction (model.bottleneck=32)"] == 5
    assert table["Digits, dimensionality reduction (model.bottleneck=None)"] == 6


def test_fig_6_holds_every_certificate_against_the_bound(four_panels, drawn, tmp_path):
    four_panels("L2", "l2")
    (png,) = drawn("center_l2_baseline", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert set(table["h"]) == {2}
    assert (table["largest_eps_out"] == table["eps_in"] * 3).all()
    claims = claims_of(png)
    assert claims["within"].all()
    over = claims[claims["quantity"] == "largest eps_out of any example over the bound"].set_index("case")["ours"]
    assert over["CIFAR10, reconstruction, h = 2"] == pytest.approx(1.8 / (sqrt(3072) * erf(1 / sqrt(2))))
    printed = claims[claims["paper"] > 1].groupby("paper")["ours"].first()
    assert printed.index.tolist() == [19.04, 37.69]
    assert printed.tolist() == [pytest.approx(19.12, abs=0.005), pytest.approx(37.84, abs=0.005)]


def test_a_certificate_above_the_bound_of_expectation_smoothing_is_found(write_center_run, drawn, tmp_path):
    for sigma in SIGMAS:
        values, errors = (1.0, 1.0, 14.0), (0.1, 0.1, 0.1)  # 14 x 1.5 at h = 2: above 19.12
        write_center_run("mnist_l2", "MNIST", "Autoencoder", "L2", sigma, values, errors)
    (png,) = drawn("center_l2_baseline", tmp_path)
    claims = claims_of(png).set_index("quantity")
    assert not claims.loc["largest eps_out of any example over the bound", "within"]


@pytest.mark.parametrize("h", [0.5, 1, 2, 4])
@pytest.mark.parametrize("k", [784, 3072])
def test_the_bound_of_expectation_smoothing_in_the_papers_form(h, k):
    assert expectation_bound(h, k) == pytest.approx(sqrt(k) * erf(h / (2 * sqrt(2))), rel=1e-12)


def test_fig_7(write_center_run, drawn, tmp_path):
    for sigma in SIGMAS:
        out, error = (0.5 * sigma,) * 3, (0.02 * sigma,) * 3
        write_center_run("mnist_angular", "MNIST", "Reconstructor", "Angular", sigma, out, error)
    (png,) = drawn("center_angular", tmp_path)
    assert claims_of(png)["within"].all()
    assert (pd.read_csv(png.with_suffix(".csv"))["largest between two images"] == 1).all()
    assert drawn("center_tvd", tmp_path) == []  # another metric's runs


def test_fig_8_compares_trainings_where_there_are_both(write_center_run, drawn, tmp_path):
    for sigma in SIGMAS:
        for noisy, out, error in ((True, 10 * sigma, 0.1), (False, 20 * sigma, 0.05)):
            given = {"noisy": noisy, "scale": 1}
            write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", sigma, (out,), (error,), **given)
        write_center_run("cifar10_tvd", "CIFAR10", "Autoencoder", "TotalVariation", sigma)
    (png,) = drawn("center_training_noise", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["panel"].unique().tolist() == ["MNIST, dimensionality reduction"]
    assert sorted(table["curve"].unique()) == ["trained with noise", "trained without noise"]
    assert set(table["h"]) == {2}
    claims = claims_of(png).set_index("quantity")
    assert claims.loc["largest median eps_out with training noise over that without", "ours"] == pytest.approx(0.5)
    assert claims.loc["largest median smoothing error with training noise over that without", "ours"] == 2
    assert claims["within"].tolist() == [True, False]


def test_fig_8_needs_both(write_center_run, drawn, tmp_path):
    write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", 0.2)
    assert drawn("center_training_noise", tmp_path) == []


def test_one_h_where_there_is_room_for_one(drawn, tmp_path):
    with pytest.raises(SettingError, match="expected 1 to 1 numbers"):
        drawn("center_training_noise", tmp_path, h=[1.5, 2])


def test_fig_4a(write_center_run, drawn, tmp_path):
    for sigma in (0.01, 0.02, 0.04):
        out, error = (20 * sigma,) * 3, (0.1 * sigma,) * 3
        given = {
            "eps": (sigma, 1.5 * sigma),
            "certifier": {"type": "CenterSmoothingHD", "candidates": 30},
            "factor": 10,
        }
        write_center_run("imagenet_lpips", "Latents", "BigGAN", "LPIPS", sigma, out, error, **given)
    (png,) = drawn("center_generator", tmp_path)
    assert png.name == "center_generator-latents.png"
    table = pd.read_csv(png.with_suffix(".csv"))
    assert sorted(table["h"].unique()) == [1, 1.5]
    claims = claims_of(png).set_index("quantity")
    rises = claims.loc["rise of the median smoothing error over that of eps_out along the curve", "ours"]
    assert rises.tolist() == pytest.approx([0.1 / 20, 0.1 / 20 / 1.5])  # at h = 1 and 1.5
    assert claims.loc["median of eps_out over the quantile of the distances", "ours"] == pytest.approx(10)
    assert claims["within"].all()


@pytest.mark.parametrize(
    ("name", "metric", "factor"), [("tvd", "TotalVariation", 3), ("l2", "L2", 3), ("perceptual", "FeatureDistance", 10)]
)
def test_a_stand_in_for_fig_4a_says_so(write_center_run, figure, monkeypatch, tmp_path, name, metric, factor):
    heads = []
    monkeypatch.setattr(curves, "draw_rows", lambda *given: heads.append(given[4]) or MatplotlibFigure())
    certifier = {"type": "CenterSmoothingHD", "candidates": 30, "center": "medoid"}
    for sigma in (0.02, 0.04, 0.06):
        out, error = [20 * sigma * v for v in (1, 2, 3)], [0.1 * sigma * v for v in (1, 2, 3)]
        given = {"eps": (sigma, 1.5 * sigma), "scale": 1.2, "certifier": certifier, "factor": factor}
        write_center_run(f"generator_{name}", "Latents", "FaceGenerator", metric, sigma, out, error, **given)
    (one,) = drawings("center_generator", figure("center_generator"), tmp_path, None, tmp_path)
    assert one.path.stem == f"center_generator-generator_{name}_medoid"
    ((title, below),) = heads
    assert METRICS[metric].replace("l2", "") in title.lower()
    assert below.startswith("stand-in: faces by DCGAN, not images by BigGAN; 3 test examples")
    assert status_of(one) == Status.TREND
    assert "on faces by DCGAN instead of the paper's data" in reason_of(one)
    claims = one.drawing.claims
    assert (claims["kind"] == "theorem").sum() == (factor == 10)
    assert claims["within"].all()


def test_times_of_equal_samples_are_compared(write_center_run, drawn, tmp_path):
    for sigma in (0.1, 0.2):
        write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", sigma)
        write_center_run("mnist_reconstruction_tvd", "MNIST", "Reconstructor", "TotalVariation", sigma)
    for path in tmp_path.rglob("certificates.csv"):
        table = pd.read_csv(path)
        seconds = 2.0 if "reconstruction" in str(path) else 5.0
        table.assign(seconds=seconds).to_csv(path, index=False)
    (path,) = drawn("center_time", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv")).set_index("experiment")
    assert table["seconds"].to_dict() == {"mnist_tvd": 5.0, "mnist_reconstruction_tvd": 2.0}
    assert (table["samples"] == 2 * 2000 + 45000).all()
    assert not path.with_suffix(".claims.csv").exists()  # the ratio of 3 is the generator's over another experiment's


@pytest.mark.parametrize(("seconds", "within"), [(13.0, True), (5.0, False), (30.0, False)])
def test_the_generator_takes_three_times_as_long(write_center_run, drawn, tmp_path, seconds, within):
    write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.1)
    write_center_run("imagenet_lpips", "Latents", "BigGAN", "LPIPS", 0.01)
    for path in tmp_path.rglob("certificates.csv"):
        taken = seconds if "lpips" in str(path) else 5.0
        pd.read_csv(path).assign(seconds=taken).to_csv(path, index=False)
    (path,) = drawn("center_time", tmp_path)
    (claim,) = claims_of(path).itertuples()
    assert (claim.ours, claim.within) == (seconds / 5.0, within)


def test_the_printed_bound_is_held_against_its_own_h_alone(write_center_run, drawn, tmp_path):
    write_center_run("mnist_l2", "MNIST", "Autoencoder", "L2", 0.2)
    for h, said in ((2, True), (1.5, False)):
        (png,) = drawn("center_l2_baseline", tmp_path, h=[h])
        assert claims_of(png)["quantity"].str.startswith("bound of expectation smoothing for").any() == said


@pytest.mark.slow
def test_the_same_runs_give_the_same_bytes(write_center_run, drawn, tmp_path):
    write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", 0.2)
    kept = []
    for _ in range(2):
        (png,) = drawn("center_tvd", tmp_path, files=True)
        kept.append(
            [png.with_suffix(suffix).read_bytes() for suffix in (".png", ".pdf", ".svg", ".csv", ".claims.csv")]
        )
    assert kept[0] == kept[1]


def test_every_claim_belongs_to_a_figure_and_every_figure_to_the_readme():
    expected = pd.read_csv(FOLDER / "claims.csv")
    assert expected.notna().all().all()
    assert not expected.duplicated(["figure", "quantity", "claim"]).any()
    for name in expected["figure"].unique():
        assert (CONF / "figure" / f"{name}.yaml").exists()
    readme = (FOLDER / "README.md").read_text()
    for file in (CONF / "figure").glob("center_*.yaml"):
        assert f"`{file.stem}`" in readme
        for experiment in OmegaConf.load(file).experiments:
            assert (CONF / "experiment" / f"{experiment}.yaml").exists()
