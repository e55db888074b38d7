"""Deterministic center smoothing against brute force: all images of 3 pixels and 6 levels, all pairs of them."""

from math import sqrt

import numpy as np
import pytest
import torch
from small_grid import (
    GRID,
    STEPS_APART,
    D,
    Q,
    drawn_everywhere,
    noise_of,
    random_network,
    random_points,
    squared_distances,
)

from smoothing import L2, DeterministicSplitting, Gaussian, Jaccard, SettingError
from smoothing.center_results import CenterDraws
from smoothing.exact_center import ExactCenterSmoothing, exact_center_certificate

pytestmark = pytest.mark.long

CASES = [
    (random_network, 1, L2),
    (random_network, 2, L2),
    (random_points, 2, L2),
    (random_points, 4, Jaccard),
    (random_points, 1, squared_distances),
]


@pytest.mark.parametrize(("make", "outputs", "metric"), CASES)
@pytest.mark.parametrize(
    "steps", [3, 8, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 13))]
)  # lambda below 1/2, both parities of L
def test_no_input_within_eps_moves_the_center_by_more_than_eps_out(make, outputs, metric, steps):
    h = ExactCenterSmoothing(make(1, outputs), noise_of(steps), metric())
    draws, moved = drawn_everywhere(h)
    certified = 0
    for k in range((steps + 1) // 2):
        eps_out = torch.tensor([h.read(d, k / Q).eps_out for d in draws])
        certified += int(eps_out.isfinite().sum())
        assert not ((k >= STEPS_APART) & (moved > eps_out[:, None])).any()
    assert certified == len(GRID) * ((steps + 1) // 2)


@pytest.mark.parametrize("steps", [4, 8, 13])
def test_a_rank_that_forgets_one_changed_output_is_caught(steps):
    """Two points and no structure: with the k of eps - 1/q the statement is false somewhere."""
    h = ExactCenterSmoothing(random_points(3, 1, values=2), noise_of(steps), L2())
    draws, moved = drawn_everywhere(h)
    wrong = 0
    for k in range(1, (steps + 1) // 2):
        eps_out = torch.tensor([h.read(d, (k - 1) / Q).eps_out for d in draws])
        wrong += int(((k >= STEPS_APART) & (moved > eps_out[:, None])).sum())
    assert wrong > 0


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13])
def test_the_largest_eps_is_named_and_the_next_one_fails(steps):
    h = ExactCenterSmoothing(random_network(0, 2), noise_of(steps), L2())
    draws = h.draw(GRID[77] / Q)
    largest = ((steps + 1) // 2 - 1) / Q
    assert h.read(draws, largest).status == "certified"
    failed = h.read(draws, largest + 1 / Q)
    assert failed.status == "failed"
    assert failed.eps_out == float("inf")
    assert f"the largest eps under this noise is {largest:g}" in failed.reason
    assert failed.failure_probability == 0


def test_the_certificate_by_hand():
    """Nine outputs at 0, 1, ..., 8 from a center: rank 5 at eps = 0, one more for each whole grid step."""
    draws = ExactCenterSmoothing(random_network(0, 1), noise_of(9), L2()).draw(GRID[5] / Q)
    draws = type(draws)(**{**vars(draws), "distances": np.arange(9.0)})
    for eps, rank in [(0, 5), (0.19, 5), (0.2, 6), (0.6 - 1e-16, 8), (0.79, 8), (0.8, 9)]:
        found = exact_center_certificate(draws, eps, noise_of(9), L2())
        assert found.order_statistic == rank
        assert found.distance_quantile == rank - 1
        assert found.eps_out == pytest.approx(2 * (rank - 1), rel=1e-9)  # one number: beta = 1
        assert found.eps_out >= 2 * (rank - 1)
        assert found.failure_probability == 0
        assert (found.n, found.m) == (9, 9)


def test_outputs_that_are_not_finite_lie_outside_every_ball():
    noise, x = noise_of(9), GRID[150] / Q
    inputs = torch.cat(list(noise.enumerate(x, 99)))
    threshold = inputs[:, 0].sort().values[5]  # the three or fewer largest are lost

    def f(batch):
        lost = batch[:, :1] > threshold
        return torch.where(lost, torch.nan, batch[:, :1])

    h = ExactCenterSmoothing(f, noise, L2())
    draws = h.draw(x)
    lost = int(torch.isnan(f(inputs)).sum())
    assert 0 < lost <= 3
    assert h.read(draws, 0).status == "certified"
    assert h.read(draws, 0).not_finite == pytest.approx(lost / 9)
    assert h.read(draws, 4 / Q).status == "failed"
    assert "not finite" in h.read(draws, 4 / Q).reason
    nothing = ExactCenterSmoothing(lambda batch: batch * torch.nan, noise, L2())
    assert nothing.certify(x, 0).status == "failed"


def test_batch_size_and_example_play_no_part():
    f, noise, x = random_network(4, 3), noise_of(13), GRID[200] / Q
    first = ExactCenterSmoothing(f, noise, L2(), batch_size=1000).draw(x)
    for batch_size in (1, 4, 13):
        again = ExactCenterSmoothing(f, noise, L2(), batch_size=batch_size).draw(x, example=7)
        assert np.allclose(again.distances, first.distances, rtol=1e-5, atol=1e-6)


def test_noise_that_cannot_be_enumerated_and_a_wrong_eps_are_refused():
    with pytest.raises(SettingError, match="noise: Gaussian"):
        ExactCenterSmoothing(random_network(0, 2), Gaussian(0.5), L2())
    h = ExactCenterSmoothing(random_network(0, 2), noise_of(5), L2())
    with pytest.raises(SettingError, match="eps"):
        h.certify(GRID[0] / Q, -0.1)
    with pytest.raises(SettingError, match="not a multiple of 1/5"):
        h.certify(torch.full((D,), 0.5), 0.1)


def test_the_exact_centers_radius_has_gamma_and_what_sums_lose():
    noise = DeterministicSplitting(9.5 / (10 * sqrt(3)), 5, (4,))
    for size, metric, factor in [(4, squared_distances(), 2 * (1 + 4)), (10**6, L2(), 3)]:
        zeros = torch.zeros(size)
        draws = CenterDraws(zeros, zeros, 1.0, 9, 9, np.ones(9), 0.0)
        eps_out = exact_center_certificate(draws, 0.2, noise, metric).eps_out
        assert factor * (1 + size * 2.0**-51) < eps_out < factor * (1 + size * 2.0**-49 + 1e-12)
