"""Where f_hat surely answers: its constants against SciPy, false claims under known laws, and the certifier."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import beta, binom, norm

from smoothing import (
    L2,
    Angular,
    BalancedCenterSmoothing,
    BalancedSettings,
    CenterDraws,
    Cosine,
    Gaussian,
    SettingError,
    Splitting,
    TotalVariation,
    Uniform,
    answers_within,
    balanced_certificate,
    rechecked,
)
from smoothing.answering import Answering
from smoothing.balanced_guarantee import needed_inside
from smoothing.rounding import DISTANCE_MARGIN

SIGMA = 0.5
NOISE = Gaussian(SIGMA)
SETTINGS = BalancedSettings(q=0.5, rho=1.0, alpha3=0.03)
KNOWN = [(400, 30, 230, 0.06), (4000, 1000, 2082, 0.005), (1000, 100, 870, 0.01)]  # n, candidates, K, alpha3
SAMPLES = {"n": 1000, "m": 500, "q": 0.5, "rho": 1.9, "candidates": 200, "center": "medoid", "alpha3": 0.006}


def f_hat(f=lambda batch: batch, noise=NOISE, **settings):
    return BalancedCenterSmoothing(f, noise, L2(), **(SAMPLES | settings))


def draws_of(held, within=1.0, n=4000, inside=4000):
    zero = torch.zeros(2)
    return CenterDraws(zero, zero, within, n, inside, np.linspace(0, 1, 1000), 0.1, np.sort(held), within)


def least(condition, start=0):
    return next(k for k in range(start, 10**6) if condition(k))


@pytest.mark.parametrize(("n", "count", "needed", "alpha3"), KNOWN)
def test_each_of_six_statements_has_a_sixth_of_alpha3_and_the_candidates_count(n, count, needed, alpha3):
    own, a = Answering(n, count, needed, alpha3), alpha3 / 6
    good = brentq(lambda p: binom.cdf(needed - 1, n, p) - a, 1e-9, 1 - 1e-9, xtol=1e-14)
    assert own.rank == least(lambda k: count * binom.sf(k - 1, n, good) <= a, needed)  # statements (6) and (5)
    assert binom.cdf(own.rank - 1, n, own.mass) <= a < binom.cdf(own.rank - 1, n, own.mass * (1 - 1e-7))  # (4)
    assert binom.pmf(0, count, own.share) <= a < binom.pmf(0, count, own.share * (1 - 1e-7))  # (3)
    for h in (0.0, 0.3):
        mass, share = (norm.cdf(norm.ppf(p) + h) for p in (own.mass, own.share))
        judged = least(lambda k, mass=mass: count * binom.sf(k - 1, n, mass) <= a)
        assert own.least_held(h * SIGMA, NOISE) == judged  # (1)
        enough = least(lambda j, share=share: j > 0 and beta.ppf(a, j, count - j + 1) >= share)  # (2)
        for extra, claimed in ((0, True), (-1, False)):
            held = np.repeat([judged - 1, judged], [count - enough - extra, enough + extra])
            assert own.surely(held, h * SIGMA, NOISE) == claimed


@pytest.mark.parametrize("noise", [NOISE, Uniform(2.0), Splitting(2.0, levels=16), Gaussian(SIGMA, grid=16)])
def test_masses_are_those_of_the_noise(noise):
    own = Answering(4000, 1000, 2082, 0.005)
    for eps in (0.0, 0.1, 0.4):
        mass = noise.mass(own.mass, eps)
        judged = least(lambda k, mass=mass: 1000 * binom.sf(k - 1, 4000, mass) <= 0.005 / 6, 2000)
        assert own.least_held(eps, noise) == judged


class Line:
    """Outputs on a line, by the bin of a noisy number: which law they have at x, and how often f_hat answers."""

    def __init__(self, places, cuts, settings, n, count):
        self.apart = np.abs(places[:, None] - places)
        self.cuts, self.settings, self.n, self.count = cuts, settings, n, count
        self.needed = needed_inside(n, settings)
        self.own = Answering(n, count, self.needed, settings.alpha3)

    def law(self, x):
        return np.diff(norm.cdf((np.array([-np.inf, *self.cuts, np.inf]) - x) / SIGMA))

    def claimed(self, x, eps, rng):
        ranked, candidates = rng.multinomial(self.n, self.law(x)), rng.multinomial(self.count, self.law(x))
        held = np.repeat((self.apart <= self.settings.rho) @ ranked, candidates)
        return self.own.surely(held, eps, NOISE)

    def answers(self, x, rng):
        ranked, candidates = rng.multinomial(self.n, self.law(x)), rng.multinomial(self.count, self.law(x))
        distances = np.sort(np.repeat(self.apart, ranked, axis=1), axis=1)[:, self.own.rank - 1]
        center = np.where(candidates > 0, distances, np.inf).argmin()
        return rng.binomial(self.n, self.law(x)[self.apart[center] <= self.settings.rho].sum()) >= self.needed

    def rates(self, x, eps, tries, rng):
        """How often it is claimed that f_hat answers within eps, and how often it does not answer at x + eps."""
        claims = sum(self.claimed(x, eps, rng) for _ in range(tries))
        return claims / tries, sum(not self.answers(x + eps, rng) for _ in range(tries)) / tries


def lines(tries, rng):
    settings = BalancedSettings(q=0.5, rho=1.0, alpha1=0.05, alpha3=0.3)
    for _ in range(tries):
        places = rng.permutation([*rng.uniform(0, 2, size=3), *rng.uniform(0, 20, size=2)])
        yield Line(places, np.sort(rng.normal(scale=1.5 * SIGMA, size=4)), settings, 300, 25)


def test_a_claim_is_false_with_probability_alpha3_under_random_laws():
    """Draws at x and at x' are independent, so the rates multiply."""
    rng, made, silent = np.random.default_rng(1), 0, 0
    for line in lines(60, rng):
        claims, abstains = line.rates(0.0, 0.4 * SIGMA, 20, rng)
        made, silent = made + claims, silent + abstains
        assert claims * abstains <= 0.3
    assert min(made, silent) > 3  # both occur, under different laws


@pytest.mark.slow
@pytest.mark.parametrize("h", [0.2, 0.4, 0.8])
def test_a_claim_is_false_with_probability_alpha3_under_many_random_laws(h):
    rng = np.random.default_rng(2)
    worst = 0.0
    for line in lines(150, rng):
        for x in (-0.2, 0.0, 0.2):
            claims, abstains = line.rates(x, h * SIGMA, 60, rng)
            worst = max(worst, claims * abstains)
    assert worst <= 0.3


def test_a_ball_that_is_large_enough_at_x_alone_is_not_claimed():
    """One cluster, whose mass at x is enough for f_hat to answer there. At x' its mass is below q."""
    own, rng = Answering(4000, 1000, 2082, 0.005), np.random.default_rng(3)
    mass = own.mass + 0.05
    assert NOISE.shift(mass, SIGMA) < 0.4
    held = np.repeat([0, rng.binomial(4000, mass)], rng.multinomial(1000, [1 - mass, mass]))
    assert own.surely(held, 0.0, NOISE)
    assert not own.surely(held, SIGMA, NOISE)


def test_few_good_candidates_are_not_enough():
    """G holds 2 % at x, and 0.1 % at x': most of 1000 candidates there may well be bad."""
    own = Answering(4000, 1000, 2082, 0.005)
    held = np.repeat([0, 4000], [980, 20])
    assert own.surely(held, 0.0, NOISE)
    assert not own.surely(held, SIGMA, NOISE)


def test_the_largest_eps_is_where_the_claim_ends_and_smaller_ones_are_claimed():
    draws = draws_of(np.repeat([2000, 3500, 3900], [300, 300, 400]))
    for noise in (NOISE, Uniform(2.0), Gaussian(SIGMA, grid=16)):
        eps = answers_within(draws, noise, SETTINGS)
        assert eps > 0
        for factor in (0, 0.3, 0.9, 1):
            assert balanced_certificate(draws, factor * eps, noise, L2(), SETTINGS).answers is True
        assert balanced_certificate(draws, (1 + 1e-9) * eps + 1e-12, noise, L2(), SETTINGS).answers is False
    assert answers_within(draws_of(np.zeros(1000, dtype=int)), NOISE, SETTINGS) == -1


@pytest.mark.parametrize("inside", [4000, 0])
def test_the_level_is_paid_where_it_is_claimed(inside):
    draws = draws_of(np.full(1000, 3900), inside=inside)
    paid = 0.01 if inside else 0.0  # f_hat may abstain at x by bad luck, and surely answer otherwise
    for eps, answers in ((0.1, True), (1.0, False)):
        found = balanced_certificate(draws, eps, NOISE, L2(), SETTINGS)
        assert (found.answers, found.failure_probability) == (answers, pytest.approx(paid + 0.03 * answers))
        silent = balanced_certificate(draws, eps, NOISE, L2(), replace(SETTINGS, alpha3=None))
        assert (silent.answers, silent.failure_probability) == (None, pytest.approx(paid))


def test_counts_within_another_distance_say_nothing():
    draws = rechecked(draws_of(np.full(1000, 3990), within=1.0), rho=0.9)
    settings = replace(SETTINGS, rho=0.9)
    assert balanced_certificate(draws, 0.1, NOISE, L2(), settings).answers is None
    for other, given in (
        (settings, draws),
        (SETTINGS, replace(draws, held=None)),
        (replace(SETTINGS, alpha3=None), draws),
    ):
        with pytest.raises(SettingError, match="draws: expected those of BalancedCenterSmoothing with alpha3 and rho"):
            answers_within(given, NOISE, other)


def test_the_draws_count_the_outputs_within_rho_of_each_candidate():
    h = f_hat()
    draws, seen = h.draw(torch.zeros(2), example=0), []
    spy = f_hat(lambda batch: seen.append(batch.clone()) or batch, batch_size=200)
    spy.draw(torch.zeros(2), example=0)
    outputs = torch.cat([batch for batch in seen if len(batch) == 200])  # those of the probe aside
    candidates, ranked = outputs[:200], outputs[200:1200]
    held = (torch.cdist(candidates.double(), ranked.double()) <= 1.9).sum(dim=1).sort().values
    assert draws.held.tolist() == held.tolist()
    assert (draws.held_within, len(draws.held)) == (1.9, 200)
    assert f_hat(alpha3=None).draw(torch.zeros(2)).held is None
    found = h.read(draws, 0.2)
    assert (found.status, found.answers, found.failure_probability) == ("certified", True, pytest.approx(0.016))
    assert h.answers_within(draws) > 0.2
    assert h.read(draws, 2.0).answers is False


@pytest.mark.parametrize("metric", [L2(), Angular(), Cosine(), TotalVariation()], ids=repr)
def test_a_distance_differs_from_call_to_call_by_less_than_the_margin(metric):
    outputs = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    together = metric.pairwise(outputs, outputs)
    apart = torch.cat([metric.pairwise(one[None], outputs) for one in outputs])
    assert (together - apart).abs().max() <= 1e-3 * DISTANCE_MARGIN * together.mean()


def test_an_output_at_the_distance_rho_is_not_counted():
    f = {rho: f_hat(lambda b: (b > 0).float(), rho=rho) for rho in (1.0, 1.0 + 1e-8)}  # the outputs 0 and 1
    assert f[1.0].draw(torch.zeros(1)).held[-1] < 700
    assert f[1.0 + 1e-8].draw(torch.zeros(1)).held[0] == 1000


def test_the_center_has_more_outputs_in_its_ball_than_it_needs_to_be_accepted():
    """Outputs at -0.1, 0, 1 and 2. Half of them lie within 0.1 of 0, but only the ball of 1 holds three quarters."""
    places, shares = torch.tensor([-0.1, 0.0, 1.0, 2.0]), torch.tensor([0.22, 0.28, 0.04, 0.46])
    cuts = SIGMA * torch.special.ndtri(shares.cumsum(0)[:-1])

    def f(batch):
        return places[torch.bucketize(batch, cuts)]

    settings = {"q": 0.45, "rho": 1.0, "n": 2000}
    x = torch.zeros(1)
    centers = [float(f_hat(f, alpha3=alpha3, **settings).smooth(x, 0).center) for alpha3 in (None, 0.005)]
    assert centers[0] <= 0
    assert centers[1] == 1


def test_f_hat_answers_where_it_surely_does():
    """A quick run of everything, at the farthest x' of each claim. Few claims are as close as the levels allow."""
    h, claims = f_hat(lambda batch: torch.where(batch > -0.8, 0.0, 1e3 * batch), n=400, alpha3=0.3), 0
    for k in range(25):
        eps = h.answers_within(h.draw(torch.zeros(1), example=2 * k))
        claims += eps > 0
        assert eps < 0 or not h.smooth(torch.tensor([-eps]), example=2 * k + 1).abstained
    assert claims > 15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": None}, r"certifier\.candidates: certifier\.alpha3 needs a number of candidates, such as 1000"),
        ({"center": "best"}, r"certifier\.center: certifier\.alpha3 needs medoid, got best"),
        ({"alpha3": 0}, r"certifier\.alpha3: expected a probability strictly between 0 and 1"),
        ({"alpha3": "no"}, r"certifier\.alpha3"),
        (
            {"candidates": 9},
            r"certifier\.candidates: 9 never show .* within eps=0 .*; 10 would do, or set .*alpha3=null",
        ),
        ({"n": 40}, r"certifier\.n: 40 samples never show .* within eps=0 .*; \d+ would do"),
    ],
)
def test_settings_that_never_show_it_are_refused(settings, message):
    with pytest.raises(SettingError, match=message) as error:
        f_hat(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("eps", [0.6, 0.9])
def test_the_number_that_would_do_is_the_least(eps):
    h = f_hat(n=40_000, candidates=2000)
    h.cases([0.1, eps])
    for name, few in (("candidates", 12), ("n", 200)):
        with pytest.raises(SettingError, match=f"certifier.{name}.* eps={eps:g} ") as error:
            f_hat(**({"n": 40_000, "candidates": 2000} | {name: few})).cases([0.0, eps])
        enough = int(str(error.value).split("; ")[1].split()[0])
        f_hat(**({"n": 40_000, "candidates": 2000} | {name: enough})).cases([0.0, eps])
        with pytest.raises(SettingError, match=f"certifier.{name}"):
            f_hat(**({"n": 40_000, "candidates": 2000} | {name: enough - 1})).cases([0.0, eps])


def test_no_number_is_named_where_none_would_do():
    with pytest.raises(SettingError, match=r"certifier\.n: 1000 samples never .* eps=3 .*; no number would do"):
        f_hat(noise=Uniform(2.0), q=0.84).cases([3.0])
