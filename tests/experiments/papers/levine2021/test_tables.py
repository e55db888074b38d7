"""Levine and Feizi's tables, from made-up counts: the numbers match those computed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.report.figure import CONF
from smoothing import DeterministicSplitting, Uniform
from smoothing.class_bounds import ClassBounds
from smoothing.classifier_guarantee import certificate

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "experiments" / "papers" / "levine2021"
LEVELS, SHAPE = 16, (1, 8, 8)
N, ALPHA = 1000, 0.001
SHARES = [1.0, 0.95, 0.9, 0.8, 0.7, 0.55, 1.0, 0.4]  # of the votes that class A has
RIGHT = [True, True, True, True, True, True, False, True]  # whether class A is the label


def accuracy(share_of_radius, at, right=RIGHT):
    """Computed by hand: share of correct examples whose radius, from the share of votes, is at least `at`."""
    return np.mean([r and share_of_radius(s) >= at for s, r in zip(SHARES, right, strict=True)])


def exact_radius(sigma):
    """The radius by definition, for class 3 or 4 against class 5: floor((n_A - n_B) / 2) / levels, or 0 if 5 wins."""
    steps = int(2 * 3**0.5 * sigma * LEVELS)

    def radius(share):
        votes = round(share * steps)
        return max(-1, (2 * votes - steps) // 2) / LEVELS if 2 * votes >= steps else -1

    return radius


def test_the_table_takes_the_best_sigma_for_each_radius(tmp_path, write_l1_run, drawn):
    for sigma in (0.25, 1.0):
        write_l1_run(tmp_path, "dssn", sigma)
    (path,) = drawn("dssn_table_digits", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["method"].unique().tolist() == ["DSSN"]
    for row in table.itertuples():
        by_sigma = {sigma: accuracy(exact_radius(sigma), row.radius) for sigma in (0.25, 1.0)}
        assert row.accuracy == max(by_sigma.values())
        if row.accuracy:
            assert row.sigma == max(by_sigma, key=by_sigma.get)
            assert row.clean_accuracy == 6 / 8  # one of eight is wrong, and of one the label has the fewer votes
        else:
            assert np.isnan(row.sigma)
    assert table["accuracy"].nunique() > 2
    text = path.read_text()
    assert "**62.5%** (75.0% @ 1)" in text
    assert r"62.5\%" in path.with_suffix(".tex").read_text()


def test_a_radius_of_exactly_rho_is_certified_at_rho(tmp_path, write_l1_run, drawn):
    sigma = 1.16  # L = 64 half-steps, lambda = 2
    assert DeterministicSplitting(sigma, LEVELS, SHAPE).steps == 64
    write_l1_run(tmp_path, "dssn", sigma, [0.75, 0.75 - 1 / 64], [True, True])  # (48 - 16) / 2 / 16 = 1 exactly
    (path,) = drawn("dssn_table_digits", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv")).set_index("radius")["accuracy"]
    assert table[1.0] == 0.5
    assert table[1.5] == 0


def test_clean_accuracy_counts_what_is_not_certified(tmp_path, write_l1_run, drawn):
    write_l1_run(tmp_path, "uniform", 0.5)
    (path,) = drawn("dssn_table_digits", tmp_path)
    row = pd.read_csv(path.with_suffix(".csv")).query("radius == 0.5").iloc[0]
    assert row["clean_accuracy"] == 7 / 8  # the guess, also where 40% of the votes do not certify it
    lower = [certificate(3, round(s * N), 0, N, 64, Uniform(0.5), ClassBounds(ALPHA), 10).p_lower for s in SHARES]
    radii = [2 * 3**0.5 * 0.5 * (p - 0.5) for p in lower]
    assert row["accuracy"] == np.mean([r and at >= 0.5 for at, r in zip(radii, RIGHT, strict=True)])


def test_the_table_is_drawn_from_several_experiments_at_once(l1_runs, drawn):
    (path,) = drawn("dssn_table_digits", l1_runs)
    assert path.name == "dssn_table_digits-digits.md"
    table = pd.read_csv(path.with_suffix(".csv"))
    methods = ["uniform", "uniform + stability", "SSN", "SSN + stability", "DSSN", "DSSN + stability"]
    assert table["method"].unique().tolist() == methods
    assert len(table) == 6 * 8
    assert "paper" not in "".join(table)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    ours = claims.set_index(["quantity", "case"])["ours"]
    best = table.pivot(index="radius", columns="method", values="accuracy")
    either = best[(best["uniform"] > 0) | (best["DSSN"] > 0)]
    quantity = "largest best certified accuracy of uniform noise above DSSN's at a radius"
    assert ours[quantity, "digits, without stability training"] == (either["uniform"] - either["DSSN"]).max()
    assert (claims["within"] == np.where(claims["relation"] == "below", claims["ours"] < 0, claims["ours"] <= 0)).all()


def test_a_claim_that_fails_is_said_to_fail(tmp_path, write_l1_run, drawn):
    write_l1_run(tmp_path, "uniform", 1.0, [1.0] * 8)
    write_l1_run(tmp_path, "dssn", 1.0, [0.8] * 8)
    (path,) = drawn("dssn_table_digits", tmp_path)
    assert pd.read_csv(path.with_suffix(".claims.csv"))["within"].tolist() == [False, False]  # at a radius; the mean


def test_papers_numbers_stand_beside_cifar10_alone(tmp_path, write_l1_run, drawn):
    write_l1_run(tmp_path, "dssn", 3.5, [1.0] * 80, [*([True] * 7), False] * 10, data="cifar10", levels=255)
    write_l1_run(tmp_path, "dssn", 3.5)
    (path,) = drawn("dssn_table_cifar10", tmp_path, source=tmp_path)
    table = pd.read_csv(path.with_suffix(".csv")).set_index("radius")
    assert table.loc[4.0, ["paper_accuracy", "paper_clean_accuracy", "paper_sigma"]].tolist() == [0.3364, 0.654, 3.5]
    assert table.loc[4.0, "difference"] == pytest.approx(7 / 8 - 0.3364)
    assert not table.loc[4.0, "within"]
    left_out = 1 - 80 / 10000
    assert table.loc[4.0, "tolerance"] == pytest.approx(0.015 + 2 * (0.3364 * 0.6636 / 80 * left_out) ** 0.5)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("case")
    assert not claims.loc["DSSN, r = 4", "within"]
    assert table.loc[4.0, "clean_difference"] == pytest.approx(7 / 8 - 0.654)
    assert np.isnan(table.loc[0.5, "clean_difference"])  # the paper's best sigma there is another
    assert "33.64% (65.40% @ 3.5)" in path.read_text()
    assert "+22.10*" in path.read_text()


def test_expected_numbers_are_whole_and_agree_with_each_other():
    expected, copy = (
        pd.read_csv(FOLDER / "expected.csv").query("figure == @name")
        for name in ("dssn_table_cifar10", "dssn_table_cifar10_jpeg")
    )
    printed = ["method", "radius", "accuracy", "clean_accuracy", "sigma"]
    assert len(copy.merge(expected, on=printed)) == len(copy) > 0  # the same numbers of the paper
    assert len(expected) == 32
    assert expected.groupby("method").size().tolist() == [8] * 4
    for _, rows in expected.groupby("method"):
        assert rows["radius"].tolist() == [0.5 * k for k in range(1, 9)]
        assert rows["accuracy"].is_monotonic_decreasing
        assert (rows.groupby("sigma")["clean_accuracy"].nunique() == 1).all()
        assert (rows["accuracy"] < rows["clean_accuracy"]).all()
        assert set(rows["sigma"]) <= {0.15, *(0.25 * k for k in range(1, 15))}


def test_of_two_runs_of_one_classifier_the_last_counts(tmp_path, write_l1_run, drawn):
    write_l1_run(tmp_path, "dssn", 0.5)
    write_l1_run(tmp_path, "dssn", 0.5, [0.0] * 8, started="2026-02-01")
    (path,) = drawn("dssn_table_digits", tmp_path)
    assert (pd.read_csv(path.with_suffix(".csv"))["accuracy"] == 0).all()
    assert "0.0%" in path.read_text()


def test_classifiers_trained_for_another_noise_are_left_out(tmp_path, write_l1_run, drawn):
    write_l1_run(tmp_path, "dssn", 0.5, trained={"type": "Uniform", "sigma": 0.5})
    assert drawn("dssn_table_digits", tmp_path) == []


def test_every_claim_and_number_belongs_to_a_figure(figure):
    readme = (FOLDER / "README.md").read_text()
    for file in ("expected.csv", "claims.csv"):
        table = pd.read_csv(FOLDER / file)
        assert table.notna().all().all()
        for name in table["figure"].unique():
            assert (CONF / "figure" / f"{name}.yaml").exists()
    for file in (CONF / "figure").glob("dssn_*.yaml"):
        assert f"`{file.stem}`" in readme
        for experiment in figure(file.stem).experiments:
            assert (CONF / "experiment" / f"{experiment}.yaml").exists()
