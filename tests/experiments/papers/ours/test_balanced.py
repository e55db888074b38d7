"""Balanced center smoothing beside center smoothing: medians by hand, what differs is said, checks that can fail."""

from math import inf, nan

import pandas as pd
import pytest

OURS = {"type": "BalancedCenterSmoothing", "n": 2000, "m": 45000, "q": 0.84, "rho": 5.0, "bound": "exact"}
PAPERS = {"type": "CenterSmoothing", "n": 2000, "m": 45000, "delta": 0.05, "alpha2": 0.005, "bound": "exact"}


@pytest.fixture
def write_both(write_center_run):
    """write_both(ours, ...) writes runs of both certifiers at two noise levels; ours: eps_out at h = 2."""

    def write(ours=(1.0, 2.0, nan, 3.0), papers=(3.0, 4.0, 5.0, inf), error=(0.1, 0.2, 0.3, 0.4), **given):
        place = ("digits_tvd", "Digits", "Autoencoder", "TotalVariation")
        for sigma in (0.1, 0.2):
            mine = {"certifier": OURS | given, "eps": (2 * sigma, 3 * sigma), "started": "2026-01-02"}
            write_center_run(*place, sigma, ours, error, **mine)
            write_center_run(*place, sigma, papers, error, certifier=PAPERS, eps=(1.5 * sigma, 2 * sigma), scale=1.0)

    return write


def curves(png):
    return {name: rows["eps_out"].tolist() for name, rows in pd.read_csv(png.with_suffix(".csv")).groupby("curve")}


def test_medians_of_both_certificates_and_abstentions_as_infinity(write_both, drawn, tmp_path, capsys):
    write_both()
    (png,) = drawn("balanced", tmp_path)
    assert curves(png) == {
        "balanced, h = 2": [2.5, 2.5],  # the middle of 1, 2, 3 and infinity
        "balanced, h = 3": [3.75, 3.75],
        "center smoothing, h = 2": [4.5, 4.5],
    }
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table.groupby("certificate")["abstained"].first().to_dict() == {"balanced": 0.25, "center smoothing": 0.0}
    (claim,) = pd.read_csv(png.with_suffix(".claims.csv")).itertuples()
    assert (claim.ours, claim.within) == (pytest.approx(2.5 / 4.5), True)
    said = capsys.readouterr().out
    assert "balanced, h = 3, eps_in = 0.3: of 4 examples, 25% abstained" in said
    assert "no rows at h = 3; with their m, 2 of 2 runs could certify" in said
    assert "differs" not in said


def test_larger_radii_are_reported(write_both, drawn, tmp_path):
    write_both(ours=(6.0, 7.0, 8.0, 9.0))
    (png,) = drawn("balanced", tmp_path)
    assert not pd.read_csv(png.with_suffix(".claims.csv"))["within"].any()


def test_a_median_that_is_infinite_only_for_ours_is_reported(write_both, drawn, tmp_path):
    write_both(ours=(1.0, 2.0, nan, nan))
    (png,) = drawn("balanced", tmp_path)
    (claim,) = pd.read_csv(png.with_suffix(".claims.csv")).itertuples()
    assert (claim.ours, claim.within) == (inf, False)


def test_other_samples_are_said_and_too_few_cannot_certify(write_both, drawn, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PAPERS, "m", 1000)
    write_both()
    drawn("balanced", tmp_path)
    said = capsys.readouterr().out
    assert "certifier.m differs: 1000 for center smoothing, 45000 for balanced" in said
    assert "with their m, 0 of 2 runs could certify" in said


def test_nothing_is_drawn_without_a_balanced_run(write_center_run, drawn, tmp_path):
    write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", 0.2)
    assert drawn("balanced", tmp_path) == []
    medoid = {"certifier": OURS | {"center": "medoid"}, "eps": (0.4,), "started": "2026-01-02"}
    write_center_run("digits_tvd", "Digits", "Autoencoder", "TotalVariation", 0.2, **medoid)
    (png,) = drawn("balanced", tmp_path)
    assert png.name == "balanced-digits_medoid.png"  # the other run has another kind of center
    assert list(curves(png)) == ["balanced, h = 2"]
