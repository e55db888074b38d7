"""Are the claims true as often as they say? Base functions whose output law is known in closed form, many times over.

A claim that fails with probability at most alpha may be missed in a test of N repetitions; it is called false where
the misses would have a probability below 1e-4 if it were true. The seeds are fixed, so each test gives one answer.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, ncx2, norm

from smoothing import L2, CenterSettings, CenterSmoothing, Gaussian, certificate
from smoothing.cursor import noisy_inputs
from smoothing.statistics import exact_order_statistic
from smoothing.streams import Stage, Stream

pytestmark = pytest.mark.slow

REPETITIONS = 2000
SIGMA, ALPHA = 0.5, 0.05
N, M, DELTA = 120, 150, 0.2


def refuted(misses, repetitions, alpha):
    return binomtest(misses, repetitions, alpha, alternative="greater").pvalue < 1e-4


def smoothing_of(f, bound, **changes):
    settings = {"n": N, "m": M, "delta": DELTA, "alpha1": ALPHA, "alpha2": ALPHA, "bound": bound, "batch_size": 512}
    return CenterSmoothing(f, Gaussian(SIGMA), L2(), **(settings | changes))


# Base functions on R^k, with the exact mass, under the noise at x, of the ball B(z, r) in the output space.


def identity(batch):
    return batch


def identity_mass(x, z, r):
    k = len(x)
    return float(ncx2.cdf((r / SIGMA) ** 2, k, max(1e-12, float(((z - x) ** 2).sum()) / SIGMA**2)))


def step(batch):
    """Outputs -1 below 0, 0 in [0, 1), 1 in [1, 2), ..."""
    return batch[:, :1].floor()


def step_mass(x, z, r):
    levels = np.arange(-12, 13)
    near = levels[np.abs(levels - float(z)) <= r + 1e-9]
    return float(norm.cdf((near[-1] + 1 - float(x[0])) / SIGMA) - norm.cdf((near[0] - float(x[0])) / SIGMA))


def two_point(batch):
    return (batch[:, :1] > 0).float()


def two_point_mass(x, z, r):
    p1 = float(norm.cdf(float(x[0]) / SIGMA))
    return 1.0 if r >= 1 else (p1 if float(z) == 1 else 1 - p1)


CASES = [
    pytest.param(identity, identity_mass, torch.zeros(1), id="identity, k = 1"),
    pytest.param(identity, identity_mass, torch.zeros(5), id="identity, k = 5"),
    pytest.param(step, step_mass, torch.tensor([0.4]), id="step"),
    pytest.param(two_point, two_point_mass, torch.tensor([-1.3]), id="two points"),
]


@pytest.mark.parametrize("bound", ["paper", "exact"])
@pytest.mark.parametrize(("f", "mass", "x"), CASES)
def test_the_ball_holds_the_mass_that_is_claimed(f, mass, x, bound):
    """alpha2: B(z, R_hat) has mass >= p at x. alpha1 / 2: an accepted center's ball has mass >= 1/2 - delta."""
    h = smoothing_of(f, bound)
    eps = 0.5 * SIGMA
    p = Gaussian(SIGMA).mass(0.5 + DELTA, eps)
    small = thin = certified = 0
    for repetition in range(REPETITIONS):
        draws = h.draw(x, example=repetition)
        c = h.read(draws, eps)
        if c.status == "abstained":
            continue
        assert c.status == "certified"
        certified += 1
        small += mass(x, draws.center.double(), c.distance_quantile) < p
        thin += mass(x, draws.center.double(), draws.center_radius) < 0.5 - DELTA
    assert certified > REPETITIONS / 2
    assert not refuted(small, certified, ALPHA)
    assert not refuted(thin, REPETITIONS, ALPHA / 2)


def test_the_exact_bound_is_tight_and_one_step_less_would_be_caught():
    """With identity in R^1 the mass is continuous: the misses come at the rate that the binomial tail says."""
    h = smoothing_of(identity, "exact")
    p = Gaussian(SIGMA).mass(0.5 + DELTA, 0.5 * SIGMA)
    k = exact_order_statistic(p, M, ALPHA)
    misses = np.zeros(6, dtype=int)
    for repetition in range(REPETITIONS):
        draws = h.draw(torch.zeros(1), example=repetition)
        for back in range(len(misses) if len(draws.distances) else 0):
            r = draws.distances[k - 1 - back]
            misses[back] += identity_mass(torch.zeros(1), draws.center.double(), r) < p
    assert not refuted(misses[0], REPETITIONS, ALPHA)
    assert refuted(misses[3], REPETITIONS, ALPHA)
    assert (np.diff(misses) > 0).all()


@pytest.mark.parametrize("bound", ["paper", "exact"])
def test_the_guarantee_at_the_worst_perturbation_of_a_two_point_function(bound):
    """f_hat(x) against f_hat(x') for x' moved straight towards the other output, across a range of distances.

    The outputs are 0 and 1, so an eps_out below 1 claims that both are equal. Only pairs at which f_hat(x') does not
    abstain count, as in the theorem; both sides draw afresh.
    """
    h = smoothing_of(two_point, bound)
    claims = violations = 0
    for repetition in range(REPETITIONS):
        start = -SIGMA * (0.3 + 1.5 * repetition / REPETITIONS)
        eps = SIGMA * 0.5
        c = h.certify(torch.tensor([start]), eps, example=2 * repetition)
        if c.status != "certified" or c.eps_out >= 1:
            continue
        there = h.smooth(torch.tensor([start + eps]), example=2 * repetition + 1)
        if there.abstained:
            continue
        claims += 1
        violations += abs(float(there.center) - float(c.center)) > c.eps_out
    assert claims > 200
    assert not refuted(violations, claims, 2 * ALPHA)


@pytest.mark.parametrize("bound", ["paper", "exact"])
def test_the_guarantee_where_the_radius_is_smallest_for_a_shift(bound):
    """Identity in R^2: f_hat follows x, so d(f_hat(x), f_hat(x')) is about eps, the most it can be."""
    h = smoothing_of(identity, bound)
    eps = 0.5 * SIGMA
    violations = claims = 0
    for repetition in range(300):
        angle = 2 * math.pi * repetition / 300
        c = h.certify(torch.zeros(2), eps, example=2 * repetition)
        there = h.smooth(eps * torch.tensor([math.cos(angle), math.sin(angle)]), example=2 * repetition + 1)
        if c.status == "certified" and not there.abstained:
            claims += 1
            violations += float((there.center - c.center).norm()) > c.eps_out
    assert claims > 100
    assert not refuted(violations, claims, 2 * ALPHA)


def test_a_radius_from_reused_samples_would_be_caught():
    """The certificate read off the very samples that chose the center misses its mass more often than alpha."""
    h = smoothing_of(identity, "exact", n=60, m=60, delta=0.35)
    settings = CenterSettings("exact", 0.35, ALPHA, ALPHA)
    p = partial(Gaussian(SIGMA).mass, 0.85)(0.1 * SIGMA)
    fresh = reused = 0
    x = torch.zeros(30)
    for repetition in range(REPETITIONS):
        draws = h.draw(x, example=repetition)
        if not len(draws.distances):
            continue
        fresh += (
            identity_mass(
                x, draws.center.double(), certificate(draws, 0.1 * SIGMA, h.noise, h.metric, settings).distance_quantile
            )
            < p
        )
        z = torch.cat(list(noisy_inputs(x, h.noise, 60, Stream(0, repetition, Stage.CENTER), 60)))
        old = np.sort(L2()(z, draws.center[None]).numpy())
        r = old[exact_order_statistic(p, 60, ALPHA) - 1]
        reused += identity_mass(x, draws.center.double(), r) < p
    assert not refuted(fresh, REPETITIONS, ALPHA)
    assert refuted(reused, REPETITIONS, ALPHA)
