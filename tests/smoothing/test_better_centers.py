"""Centers that are no outputs: how much they save, and what is proved of them."""

import itertools
import math

import numpy as np
import pytest
import torch

from smoothing import L2, Angular, CenterDraws, CenterSettings, CenterSmoothing, Gaussian, TotalVariation, certificate
from smoothing.medoid import best_center, lower_median
from smoothing.metrics.halves import ROUNDS, nearest_half_means

SIGMA, ALPHA = 0.5, 0.05


def smooth_outputs(n, sigma=0.5):
    """Images 12 x 12 of a small smooth network under Gaussian noise."""
    first, second = torch.randn(144, 32) / 12, torch.randn(32, 144) / 6
    noisy = 0.5 + sigma * torch.randn(n, 144)
    return torch.sigmoid(torch.tanh(noisy @ first) @ second).view(n, 1, 12, 12)


def shortest_half(values):
    """By trying all pairs of values as the ends."""
    half = (len(values) + 1) // 2
    ends = itertools.combinations_with_replacement(sorted(v for v in values if math.isfinite(v)), 2)
    return min((b - a for a, b in ends if sum(a <= v <= b for v in values) >= half), default=math.inf)


@pytest.mark.parametrize("metric", [L2(), TotalVariation(), Angular()])
def test_means_of_halves_lie_closer_to_most_outputs_than_any_output(metric):
    outputs = smooth_outputs(301)
    medoid = float(lower_median(metric.pairwise(outputs, outputs)).min())
    center, radius = best_center(outputs, metric)
    assert radius < 0.9 * medoid
    assert radius == pytest.approx(float(metric(outputs, center[None]).sort().values[150]), rel=1e-12)
    assert center.dtype == outputs.dtype


def test_the_means_follow_the_half_that_lies_together():
    near, far = torch.randn(60, 5), 50 + torch.randn(40, 5)
    means = nearest_half_means(torch.cat([near, far]), L2())
    assert means.shape == (ROUNDS, 5)
    assert torch.allclose(means[0], torch.cat([near, far]).mean(dim=0), atol=1e-5)
    assert means[-1].norm() < 2 < means[0].norm()


@pytest.mark.parametrize("metric", [L2(), TotalVariation(), Angular()])
def test_outputs_that_are_not_finite_take_no_part_in_the_means(metric):
    outputs = smooth_outputs(41)
    outputs[:20] = torch.nan
    center, radius = best_center(outputs, metric)
    assert center.isfinite().all()
    assert radius == pytest.approx(float(metric(outputs, center[None]).sort().values[20]), rel=1e-12)
    assert radius < math.inf
    outputs[20] = torch.inf
    assert len(metric.candidates(outputs)) == 0
    assert best_center(outputs, metric)[1] == math.inf


@pytest.mark.parametrize("n", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("shape", [(1,), (1, 1, 1)])
def test_the_center_of_numbers_is_the_middle_of_their_shortest_half(n, scale, shape):
    for case in range(12):
        numbers = torch.randn(n, *shape)
        if case % 3 == 1:
            numbers = numbers.round()  # ties
        if case % 3 == 2:
            numbers[0] = (torch.nan, torch.inf, -torch.inf)[case // 3 % 3]
        numbers *= scale
        center, radius = best_center(numbers, L2())
        assert radius == pytest.approx(shortest_half(numbers.flatten().tolist()) / 2, rel=1e-12)
        assert center.shape == shape


def test_the_middle_of_float32_numbers_is_not_rounded_to_float32():
    """Two neighbours in float32: the only number between them is a float64."""
    low = torch.tensor(1.0)
    high = torch.nextafter(low, torch.tensor(2.0))
    numbers = torch.stack([low, high, high, low])[:, None]
    numbers[2] += 9
    numbers[3] -= 9
    center, radius = best_center(numbers, L2())
    assert radius == 2.0**-24
    assert float(center) == 1 + 2.0**-24


def test_beta_is_1_for_numbers_of_float32_alone():
    assert L2().beta(torch.zeros(1)) == L2().beta(torch.zeros(1, 1)) == 1.0
    assert L2().beta(torch.zeros(1, dtype=torch.float64)) == L2().beta(torch.zeros(2)) == 2.0
    assert TotalVariation().beta(torch.zeros(1, 2, 2)) == Angular().beta(torch.zeros(1)) == 2.0


@pytest.mark.parametrize(("outputs", "factor"), [(1, 2.0), (2, 3.0)])
def test_the_output_radius_of_numbers_is_twice_and_not_three_times_the_quantile(outputs, factor):
    h = CenterSmoothing(lambda b: b[:, :outputs], Gaussian(SIGMA), L2(), n=400, m=600, delta=0.15)
    for c in h.certify(torch.zeros(3), [0.1, 0.2]):
        assert c.eps_out == pytest.approx(factor * c.distance_quantile, rel=1e-12)
        assert c.eps_out > factor * c.distance_quantile


def test_draws_read_without_their_certifier_get_the_factor_that_always_holds():
    draws = CenterDraws(torch.zeros(1), torch.zeros(1), 1.0, 10_000, 5500, np.full(1000, 0.5), 0.0)
    settings = CenterSettings()
    assert certificate(draws, 0.1, Gaussian(SIGMA), L2(), settings).eps_out == pytest.approx(1.5)
    assert certificate(draws, 0.1, Gaussian(SIGMA), L2(), settings, beta=1.0).eps_out == pytest.approx(1.0)


def test_radii_are_rounded_up_by_what_sums_may_have_lost():
    zeros = torch.zeros(2, 1000, 1000)
    draws = CenterDraws(zeros, zeros, 1.0, 10_000, 5500, np.full(1000, 1.0), 0.0)
    c = certificate(draws, 0.1, Gaussian(SIGMA), L2(), CenterSettings())
    assert 3 * (1 + 2e6 * 2.0**-51) < c.eps_out < 3 * (1 + 2e6 * 2.0**-49)


@pytest.mark.parametrize("metric", [L2(), TotalVariation(), Angular()])
def test_outputs_on_the_sphere_itself_are_inside(metric):
    """Four images, each as probable as the others: the radius is the distance of one of them, rounded the same way."""
    for case in range(15):
        four = torch.randn(4, 1, 7, 9)

        def f(batch, four=four):
            return four[2 * (batch[:, 0] > 0).int() + (batch[:, 1] > 0).int()]

        found = CenterSmoothing(f, Gaussian(SIGMA), metric, n=400, m=1, delta=0.2).smooth(torch.zeros(2), example=case)
        at_least = float((metric(four, found.center[None]) <= found.center_radius * (1 + 1e-12)).sum()) / 4
        assert found.inside / 400 > at_least - 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "f",
    [
        pytest.param(lambda b: b[:, :1], id="identity"),
        pytest.param(lambda b: (2 * b[:, :1]).round(), id="steps"),
        pytest.param(lambda b: (b[:, :1] > 0).float() - 3 * (b[:, :1] > 0.4).float(), id="three values"),
    ],
)
def test_numbers_move_by_no_more_than_is_claimed_with_beta_1(f):
    h = CenterSmoothing(f, Gaussian(SIGMA), L2(), n=120, m=150, delta=0.2, alpha1=ALPHA, alpha2=ALPHA, batch_size=512)
    eps, claims, violations = 0.4 * SIGMA, 0, 0
    for repetition in range(600):
        start = torch.tensor([repetition / 300 - 1])
        c = h.certify(start, eps, example=2 * repetition)
        there = h.smooth(start + eps * (-1) ** repetition, example=2 * repetition + 1)
        if c.status == "certified" and not there.abstained:
            claims += 1
            violations += abs(float(there.center) - float(c.center)) > c.eps_out
    assert claims > 200
    assert violations <= 2 * ALPHA * claims
