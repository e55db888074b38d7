"""Balanced center smoothing: its two levels, its strictness, its abstentions, its reach, and every way to misuse it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import norm

from smoothing import (
    L2,
    BalancedCenterSmoothing,
    BalancedSettings,
    CenterDraws,
    CenterSettings,
    CenterSmoothing,
    Gaussian,
    SettingError,
    Splitting,
    Uniform,
    answers_within,
    balanced_certificate,
    reach,
    rechecked,
)
from smoothing.balanced_guarantee import balanced_radius, needed_inside, require_feasible
from smoothing.statistics import clopper_pearson_lower, exact_order_statistic

SIGMA = 0.5
NOISE = Gaussian(SIGMA)
SETTINGS = BalancedSettings(q=0.84, rho=0.9, alpha1=0.05, alpha2=0.04)
FAR = 100.0  # distance of the two outputs of the functions below


def draws_of(distances, settings=SETTINGS, inside=None, n=1000):
    distances = np.sort(np.asarray(distances, dtype=np.float64))
    inside = n if inside is None else inside
    return CenterDraws(torch.zeros(2), torch.zeros(2), settings.rho, n, inside, distances, 0.0)


def step(cut):
    """0 below the cut, FAR above it."""
    return lambda batch: torch.where(batch < cut, 0.0, FAR)


def balanced(f, noise=NOISE, **settings):
    chosen = {"n": 400, "m": 400, "q": 0.7, "rho": 1.0, "alpha1": 0.05, "alpha2": 0.05} | settings
    return BalancedCenterSmoothing(f, noise, L2(), **chosen)


@pytest.mark.parametrize("h", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("q", [0.5, 0.7, 0.9])
def test_r_hat_is_too_small_with_probability_alpha2(q, h):
    """f is 0 with a probability just below what B(z, 0) needs, so a certificate below FAR is false."""
    settings, eps = BalancedSettings(q, rho=1.0, alpha1=0.05, alpha2=0.1), h * SIGMA
    just_below = NOISE.mass(settings.rest, eps) - 1e-9
    rng, m, tries = np.random.default_rng(1), 300, 5000
    false = 0
    for zeros, times in zip(*np.unique(rng.binomial(m, just_below, size=tries), return_counts=True), strict=True):
        draws = draws_of(np.repeat([0.0, FAR], [zeros, m - zeros]), settings)
        found = balanced_certificate(draws, eps, NOISE, L2(), settings)
        false += times * (found.status == "certified" and found.eps_out < FAR)
    assert false / tries <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / tries)
    rank = exact_order_statistic(just_below, m, 0.1)
    assert rank is None or false / tries > 0.03  # the level is used, not given away


@pytest.mark.parametrize("q", [0.5, 0.7, 0.9])
def test_a_center_without_mass_q_is_accepted_with_probability_alpha1(q):
    settings = BalancedSettings(q, rho=1.0, alpha1=0.1)
    rng, n, tries = np.random.default_rng(2), 300, 5000
    needed = needed_inside(n, settings)
    accepted = (rng.binomial(n, q - 1e-9, size=tries) >= needed).mean()
    assert 0.03 < accepted <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / tries)
    assert clopper_pearson_lower(needed, n, 0.1) >= q > clopper_pearson_lower(needed - 1, n, 0.1)


@pytest.mark.parametrize("q", [0.3, 0.5, 0.6, 0.84, 0.95, 1 - 2**-40, *np.random.default_rng(0).random(50)])
def test_the_two_masses_exceed_one(q):
    rest = BalancedSettings(float(q), rho=1.0).rest
    assert Fraction(rest) + Fraction(float(q)) > 1  # in exact arithmetic
    assert rest == pytest.approx(1 - q, abs=1e-15)


@pytest.mark.parametrize("noise", [NOISE, Gaussian(SIGMA, grid=16), Uniform(SIGMA), Uniform(SIGMA, grid=16)])
def test_the_mass_at_x_is_the_noises_and_not_a_little_less(noise):
    for eps in (0.0, 0.1, 0.4):
        p = noise.mass(SETTINGS.rest, eps)
        draws = draws_of(np.linspace(0, 1, 1000))
        rank = balanced_certificate(draws, eps, noise, L2(), SETTINGS).order_statistic
        assert rank == exact_order_statistic(p, 1000, SETTINGS.alpha2)


@pytest.mark.long
@pytest.mark.parametrize("x", [-0.3, *(pytest.param(x, marks=pytest.mark.slow) for x in (-0.6, 0.0))])
@pytest.mark.parametrize("eps", [0.2, 0.5])
def test_no_two_centers_are_farther_apart_than_certified_more_often_than_stated(x, eps):
    """The worst function: two outputs far apart, with a cut such that both x and x' may accept."""
    f_hat = balanced(step(0.0), n=200, m=200, alpha1=0.1, alpha2=0.1, q=0.55)
    here_drawn = f_hat.engine.run_all(f_hat.drawing(torch.tensor([x]), 2 * k) for k in range(150))
    others = f_hat.engine.run_all(f_hat.smoothing(torch.tensor([x + eps]), 2 * k + 1) for k in range(150))
    false = certified = 0
    for (draws, _), (other, _) in zip(here_drawn, others, strict=True):
        here = f_hat.read(draws, eps)
        if here.status != "certified" or other.abstained:
            continue
        certified += 1
        false += bool((here.center - other.center).abs() > here.eps_out)
    assert false <= 0.2 * 150
    assert false / 150 <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 150)


def test_the_certificate_by_hand():
    draws = draws_of(np.arange(1, 1001) / 1000)
    p = norm.cdf(norm.ppf(1 - 0.84) + 1)
    found = balanced_certificate(draws, SIGMA, NOISE, L2(), SETTINGS)
    rank = exact_order_statistic(p, 1000, 0.04)
    assert (found.order_statistic, found.distance_quantile) == (rank, rank / 1000)
    assert found.eps_out == pytest.approx(rank / 1000 + 0.9, rel=1e-12)
    assert found.eps_out >= rank / 1000 + 0.9
    assert (found.failure_probability, found.status, found.center_radius) == (0.09, "certified", 0.9)


def test_gamma_multiplies_both_radii():
    class Squared(L2):
        gamma = 2.0

        def _distance(self, a, b):
            return super()._distance(a, b) ** 2

    assert balanced_radius(draws_of([1.0]), 1.0, Squared(), 0.9) == pytest.approx(2 * 1.9)


@pytest.mark.parametrize(("inside", "status"), [(860, "certified"), (859, "abstained"), (0, "abstained")])
def test_it_abstains_below_the_accepted_count(inside, status):
    assert needed_inside(1000, SETTINGS) == 860
    found = balanced_certificate(draws_of(np.ones(1000), inside=inside), 0.1, NOISE, L2(), SETTINGS)
    assert found.status == status
    assert (found.failure_probability > 0) == (status == "certified") == (found.eps_out < np.inf)


def test_rho_is_part_of_the_abstention():
    """Outputs with standard deviation 0.5: a ball of radius 0.1 cannot hold 84 % of them."""
    x = torch.tensor([0.0])
    wide, narrow = (balanced(lambda b: b, q=0.84, rho=rho).certify(x, 0.1) for rho in (1.0, 0.1))
    assert (wide.status, narrow.status) == ("certified", "abstained")
    assert "the mass of the ball of radius rho = 0.1 is" in narrow.reason


def test_a_larger_q_reaches_farther_and_the_paper_less():
    x = torch.tensor([0.0])
    settings = {"n": 4000, "m": 2000}
    ours = balanced(lambda b: b, q=0.9, rho=0.95, **settings)
    paper = CenterSmoothing(lambda b: b, NOISE, L2(), delta=0.05, **settings)
    for h in (1, 2):
        assert ours.certify(x, h * SIGMA).eps_out < paper.certify(x, h * SIGMA).eps_out
    assert ours.certify(x, 4 * SIGMA).status == "certified"
    assert paper.certify(x, 4 * SIGMA).status == "failed"


def test_draws_of_center_smoothing_are_checked_again_with_the_distances():
    paper = CenterSmoothing(lambda b: b, NOISE, L2(), n=2000, m=1000, delta=0.06)
    draws = rechecked(paper.draw(torch.tensor([0.0])), rho=0.9)
    assert (draws.n, draws.center_radius) == (1000, 0.9)
    assert draws.inside == int((draws.distances <= 0.9).sum())
    assert balanced_certificate(draws, SIGMA, NOISE, L2(), SETTINGS).status == "certified"
    nothing = rechecked(replace(draws, distances=np.empty(0)), rho=0.9)
    assert balanced_certificate(nothing, SIGMA, NOISE, L2(), SETTINGS).status == "abstained"


def test_draws_checked_with_another_radius_are_refused():
    for read in (balanced_certificate, reach):
        with pytest.raises(SettingError, match=r"were checked with 0\.9, got 0\.8"):
            read(draws_of([1.0]), 0.1, NOISE, L2(), replace(SETTINGS, rho=0.8))


def test_settings_of_plain_center_smoothing_are_refused_in_one_line():
    plain, draws = CenterSettings(delta=0.2, alpha1=0.005, alpha2=0.005), draws_of([1.0])
    for read in (
        lambda: reach(draws, 0.1, NOISE, L2(), plain),
        lambda: balanced_certificate(draws, 0.1, NOISE, L2(), plain),
        lambda: answers_within(draws, NOISE, plain),
    ):
        with pytest.raises(SettingError, match=r"settings: expected an instance of BalancedSettings, .* got ") as error:
            read()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("noise", [NOISE, Uniform(1.0), Splitting(1.0, levels=16), Gaussian(SIGMA, grid=16)])
def test_the_reach_is_the_largest_eps_within_the_wanted_radius(noise):
    draws = draws_of(np.linspace(0, 1, 2000))
    for wanted in (1.3, 1.6, 1.85):
        eps = reach(draws, wanted, noise, L2(), SETTINGS)
        assert eps > 0
        assert balanced_certificate(draws, eps * (1 - 1e-9), noise, L2(), SETTINGS).eps_out <= wanted
        assert balanced_certificate(draws, eps * (1 + 1e-6), noise, L2(), SETTINGS).eps_out > wanted
    assert reach(draws, 0.89, noise, L2(), SETTINGS) == reach(draws, float("nan"), noise, L2(), SETTINGS) == -1
    assert reach(draws_of(np.linspace(0, 1, 2000), inside=0), 1.5, noise, L2(), SETTINGS) == -1
    with pytest.raises(SettingError, match="expected exact to compute the reach"):
        reach(draws, 1.5, noise, L2(), replace(SETTINGS, bound="paper"))


def test_few_candidates_abstain_more_and_claim_the_same():
    x = torch.zeros(3)
    many, few = (balanced(lambda b: b, candidates=candidates, rho=1.2) for candidates in (None, 5))
    assert few.samples == many.samples + 5
    found = few.certify(x, 0.2)
    assert (found.status, found.failure_probability) == ("certified", 0.1)
    accepted = [sum(not h.smooth(x, example=k).abstained for k in range(30)) for h in (many, few)]
    assert accepted[0] >= accepted[1]


def test_nan_is_outside_every_ball():
    f_hat = balanced(lambda b: torch.where(b > 0, torch.nan, b))
    found = f_hat.certify(torch.tensor([0.0]), 0.1)
    assert (found.status, found.eps_out) == ("abstained", np.inf)
    some = draws_of([*np.ones(980), *[np.inf] * 20])
    assert balanced_certificate(some, 0.0, NOISE, L2(), SETTINGS).not_finite == 0.02
    failed = balanced_certificate(some, 3.4 * SIGMA, NOISE, L2(), SETTINGS)
    assert (failed.status, failed.eps_out) == ("failed", np.inf)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"q": None}, "certifier.q: expected a number fixed before .* experiments.calibrate"),
        ({"rho": None}, "certifier.rho: expected a number fixed before .* experiments.calibrate"),
        ({"q": 1.0}, "certifier.q: expected a probability strictly between 0 and 1"),
        ({"q": 0}, "certifier.q: expected a probability strictly between 0 and 1"),
        ({"rho": 0}, "certifier.rho: expected a positive distance"),
        ({"rho": float("inf")}, "certifier.rho: expected a positive distance"),
        ({"alpha1": 0}, "certifier.alpha1"),
        ({"alpha2": 1.5}, "certifier.alpha2"),
        ({"bound": "best"}, "certifier.bound: expected one of paper, exact"),
        ({"center": "mean"}, "certifier.center"),
        ({"candidates": 0}, "certifier.candidates"),
        ({"q": 0.999}, "certifier.n: with 400 samples every example abstains at q=0.999; expected at least 2995"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        balanced(lambda b: b, **settings)


def test_too_few_distances_are_refused_with_the_number_needed():
    with pytest.raises(SettingError, match=r"certifier\.m: 100 samples can never certify eps=2 .*; at least \d+ are"):
        require_feasible(1000, 100, [0.1, 2.0], NOISE, SETTINGS)
    with pytest.raises(SettingError, match="eps: expected a finite number"):
        balanced_certificate(draws_of([1.0]), -1, NOISE, L2(), SETTINGS)


def test_a_calibration_fills_in_what_is_not_given():
    entries = {"Gaussian(sigma=0.5)": {"q": 0.84, "rho": 0.3, "images": "50 training images"}, "other": {}}
    given = {"n": 10, "q": None, "rho": None, "calibration": entries}
    found, told = BalancedCenterSmoothing.settled(given, [0.1], NOISE)
    assert (found["q"], found["rho"], list(found["calibration"])) == (0.84, 0.3, ["Gaussian(sigma=0.5)"])
    assert told == "calibration: q=0.84 and rho=0.3 for Gaussian(sigma=0.5)"
    assert BalancedCenterSmoothing.settled(given | {"rho": 2.0}, [0.1], NOISE)[0]["rho"] == 2.0
    assert BalancedCenterSmoothing.settled(given | {"q": 0.5, "rho": 2.0}, [0.1], NOISE)[1] == ""
    with pytest.raises(SettingError, match=r"no entry for Gaussian\(sigma=1.0\), only for Gaussian"):
        BalancedCenterSmoothing.settled(given, [0.1], Gaussian(1.0))


@pytest.mark.slow
@pytest.mark.parametrize("h", [1.0, 2.0])
def test_coverage_where_only_the_true_masses_decide(h):
    """f is 0 below a cut. x' accepts FAR about half of the time, x certifies 0: both must rarely go wrong together."""
    q, alpha, tries = 0.6, 0.1, 2000
    eps = h * SIGMA
    there = -SIGMA * norm.ppf(1 - q)  # P[f = FAR] = q at x'
    f_hat = balanced(step(0.0), n=300, m=300, q=q, alpha1=alpha, alpha2=alpha, batch_size=600)
    xs = torch.tensor([[there - eps], [there]])
    false = 0
    for k in range(tries):
        here, other = f_hat.certify(xs[0], eps, example=2 * k), f_hat.smooth(xs[1], example=2 * k + 1)
        certified = here.status == "certified" and not other.abstained
        false += certified and bool((here.center - other.center).abs() > here.eps_out)
    assert false / tries <= 2 * alpha


def test_match_finds_the_fewest_distances_at_no_higher_quantile_than_the_papers():
    given = {"n": 400, "m": 10**6, "q": 0.84, "rho": 1.0, "alpha2": 0.005, "match": "paper"}
    found, told = BalancedCenterSmoothing.settled(given, [SIGMA, 2 * SIGMA], NOISE)
    assert (found["match"], told) == (
        None,
        f"certifier.match=paper: m={found['m']} distances bound no higher a quantile than the paper's 1000000",
    )
    for h in (1, 2):
        papers = norm.cdf(norm.ppf(0.55) + h) + np.sqrt(np.log(1 / 0.005) / (2 * 10**6))
        own = NOISE.mass(BalancedSettings(0.84, 1.0).rest, h * SIGMA)
        assert exact_order_statistic(own, found["m"], 0.005) / found["m"] <= papers
    shorter = found["m"] - 1
    assert any(
        (k := exact_order_statistic(NOISE.mass(BalancedSettings(0.84, 1.0).rest, h * SIGMA), shorter, 0.005)) is None
        or k / shorter > norm.cdf(norm.ppf(0.55) + h) + np.sqrt(np.log(1 / 0.005) / (2 * 10**6))
        for h in (1, 2)
    )
    with pytest.raises(SettingError, match=r"certifier\.match: expected paper"):
        balanced(lambda b: b, match="paper")
