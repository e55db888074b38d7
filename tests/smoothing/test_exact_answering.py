"""Where f_hat answers, deterministically: every change of at most k outputs, by brute force."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from small_grid import GRID, Q, noise_of, random_network, random_points

from smoothing import L2, ExactBalancedCenterSmoothing, ExactCenterSmoothing, SettingError
from smoothing.exact_answering import steps_answered, surely_answers
from smoothing.exact_balanced import exact_balanced_certificate, outputs_held
from smoothing.medoid import numbers_within

EVERYTHING = np.array(list(product((0, 1, 2, 4, 6, 8), repeat=4)))  # all sequences of L = 4 outputs on a line
CHANGED = (EVERYTHING[:, None] != EVERYTHING).sum(axis=2)
HELD = np.sort((np.abs(EVERYTHING[:, :, None] - EVERYTHING[:, None]) <= 1).sum(axis=2), axis=1)  # rho = 1


def false_claims(claims, needed, steps):
    """Pairs with at most `steps` changed outputs: the first claims that the second answers, which it does not."""
    silent = HELD[:, -1] < needed
    return int(((steps >= CHANGED) & claims[:, None] & silent).sum())


@pytest.mark.parametrize("needed", [1, 2, 3])
def test_f_hat_answers_whatever_k_outputs_change(needed):
    said = 0
    for steps in range(4):
        claims = np.array([surely_answers(held, needed, steps) for held in HELD])
        assert false_claims(claims, needed, steps) == 0
        said += steps > 0 and claims.sum()
    assert said > 0


@pytest.mark.parametrize(("needed", "steps"), [(2, 1), (2, 2), (3, 1)])
def test_one_output_less_is_not_enough(needed, steps):
    """With K + k - 1 in the ball of k + 1 outputs, or K + k in that of k, the claim is false somewhere."""
    assert false_claims(HELD[:, -1 - steps] >= needed + steps - 1, needed, steps) > 0
    assert false_claims(HELD[:, -steps] >= needed + steps, needed, steps) > 0


def test_claims_end_at_the_largest_number_of_steps():
    for held, needed in product(HELD[::17], (1, 2, 3, 4, 5)):
        most = steps_answered(held, needed)
        assert [surely_answers(held, needed, k) for k in range(7)] == [k <= most for k in range(7)]


@pytest.mark.parametrize("make", [random_network, random_points])
def test_the_certifier_counts_the_outputs_around_each_output(make):
    h = ExactBalancedCenterSmoothing(make(1, 2), noise_of(13), L2(), q=0.6, rho=1.2)
    for x in GRID[::50] / Q:
        draws = h.draw(x)
        outputs = h.f(torch.cat(list(h.noise.enumerate(x, 13))))
        assert draws.held.tolist() == sorted((torch.cdist(outputs, outputs) <= 1.2).sum(dim=1).tolist())
        assert draws.held_within == 1.2
        within = h.answers_within(draws)
        for k in range(13):
            found = h.read(draws, k / Q)
            assert found.answers == surely_answers(draws.held, outputs_held(13, 0.6), k) == (k / Q <= within + 1e-9)
            assert found.failure_probability == 0


def test_an_output_at_the_distance_rho_is_not_counted():
    """Its computed distance may be larger in another call."""
    for rho, alike in ((1.0, False), (1.0 + 1e-8, True)):
        h = ExactBalancedCenterSmoothing(lambda b: b[:, :1].round(), noise_of(13), L2(), q=0.6, rho=rho)
        draws = h.draw(GRID[150] / Q)
        zeros = int((draws.distances == 0).sum())  # the others are at the distance 1
        assert 0 < zeros < 13
        assert draws.held[-1] == (13 if alike else max(zeros, 13 - zeros))


def test_the_counts_do_not_depend_on_the_size_of_the_parts(monkeypatch):
    outputs = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    whole = numbers_within(outputs, outputs, L2(), 1.0)
    monkeypatch.setattr("smoothing.medoid.PAIRS_AT_ONCE", 120)
    assert numbers_within(outputs, outputs, L2(), 1.0).tolist() == whole.tolist()


def test_nothing_is_said_from_draws_without_counts_or_with_those_of_another_radius():
    f, noise = random_points(1, 2), noise_of(13)
    h, other = ExactBalancedCenterSmoothing(f, noise, L2(), q=0.6, rho=1.0), ExactCenterSmoothing(f, noise, L2())
    x = GRID[60] / Q
    draws = h.draw(x)
    assert exact_balanced_certificate(draws, 0.0, noise, L2(), 0.6, 1.0).answers is not None
    for given, rho in ((draws, 1.1), (other.draw(x), 1.0), (replace(draws, held=None), 1.0)):
        assert exact_balanced_certificate(given, 0.0, noise, L2(), 0.6, rho).answers is None
        with pytest.raises(SettingError, match="draws: expected those of ExactBalancedCenterSmoothing"):
            ExactBalancedCenterSmoothing(f, noise, L2(), q=0.6, rho=rho).answers_within(given)
    assert other.read(other.draw(x), 0.0).answers is None
