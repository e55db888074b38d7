"""Formulas of Cohen et al. against Monte Carlo and integration: proposition 6, lemma 5, figure 16."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from experiments.papers.cohen2019.looseness import half_width, interval_mass, lemma_5, probability_of_a
from smoothing import Attack, SettingError
from smoothing.radii import cohen_radius, lecuyer_radius


@pytest.mark.parametrize("sigma", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("tau", [0.01, 0.3, 2.0])
def test_theorem_1_certifies_tau_where_the_classifier_is_robust_everywhere(tau, sigma):
    tau *= sigma
    t = half_width(tau, sigma)
    samples = np.random.default_rng(0).normal(0, sigma, 400_000)
    for x in (0.0, 0.5 * sigma, -2 * sigma):
        p_a = float(probability_of_a(x, tau, sigma))
        by_sampling = float(np.mean(np.abs(x + samples) > t))  # the base classifier of the proof, under the noise
        assert by_sampling == pytest.approx(p_a, abs=4 * 0.5 / 400_000**0.5)
    everywhere = probability_of_a(np.linspace(-50 * sigma, 50 * sigma, 20_001), tau, sigma)
    assert everywhere.min() == pytest.approx(norm.cdf(tau / sigma), rel=1e-12)
    assert everywhere.min() > 0.5  # A at every x: no perturbation changes the prediction
    assert cohen_radius(sigma, float(probability_of_a(0.0, tau, sigma))) == pytest.approx(tau, rel=1e-9)


@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf")])
def test_tau_is_a_positive_number(tau):
    with pytest.raises(SettingError, match="tau: expected a positive number"):
        half_width(tau)
    with pytest.raises(SettingError, match="sigma: expected a positive number"):
        half_width(1.0, tau)


def test_lemma_5_by_integration_on_a_grid():
    for width in (0.01, 0.5, 2.0, 7.0):
        centered = quad(norm.pdf, -width / 2, width / 2)[0]
        assert float(interval_mass(-width / 2, width / 2)) == pytest.approx(centered, rel=1e-9)
        for low in np.linspace(-6, 6, 49):
            mass = float(interval_mass(low, low + width))
            assert mass == pytest.approx(quad(norm.pdf, low, low + width)[0], abs=1e-9)
            assert mass <= centered * (1 + 1e-12)
    assert lemma_5() == 1.0  # the centered ones are on the grid


def test_the_mass_is_accurate_in_both_tails():
    assert float(interval_mass(20, 21)) == pytest.approx(float(interval_mass(-21, -20)), rel=1e-12)
    assert 0 < float(interval_mass(30, 31)) < 1e-190


def test_the_figure_holds_both_claims(drawn, tmp_path):
    (path,) = drawn("cohen_looseness", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["within"].all()
    assert len(claims) == 7


def test_figure_16_has_both_parameters(drawn, tmp_path):
    """Lecuyer et al.'s bound never exceeds its best value over beta, and each curve follows the formula."""
    (path,) = drawn("cohen_bounds", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    for panel in ("(16a)", "(16b)", "(16c)", "(16d)"):
        assert table["panel"].str.contains(panel, regex=False).any()
    panel = table[table["panel"].str.contains("16a")].pivot(index="x", columns="curve", values="radius")
    for beta in (0.1, 0.3, 0.6):
        curve = panel[f"beta = {beta:g}"]
        p = curve.index.to_numpy()
        b_fits = beta < np.log(p / (1 - p)) / 2
        assert (curve.notna() == b_fits).all()
        inside = 1.25 * (1 + np.exp(beta)) / (p[b_fits] - np.exp(2 * beta) * (1 - p[b_fits]))
        assert np.allclose(curve[b_fits], beta / np.sqrt(2 * np.log(inside)))
        assert (curve[b_fits] <= panel["best beta"][b_fits] * (1 + 1e-9)).all()
    against = table[table["panel"].str.contains("16c") & (table["curve"] == "p_A = 0.9")]
    assert against["radius"].max() == pytest.approx(lecuyer_radius(1.0, 0.9), rel=1e-4)


def test_the_attack_takes_the_samples_of_section_4():
    assert Attack.__init__.__kwdefaults__["n"] == 100_000
