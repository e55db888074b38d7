"""Deterministic balanced center smoothing against brute force: all pairs of images of 3 pixels and 6 levels."""

import numpy as np
import pytest
import torch
from small_grid import GRID, STEPS_APART, Q, drawn_everywhere, noise_of, random_network, random_points

from smoothing import L2, ExactBalancedCenterSmoothing, ExactCenterSmoothing, Gaussian, Jaccard, SettingError
from smoothing.exact_balanced import exact_balanced_certificate, outputs_held

pytestmark = pytest.mark.long


def everywhere(f, metric, steps, q, rho):
    """The smoothing, draws at every input, who answers, and the distances between all centers."""
    h = ExactBalancedCenterSmoothing(f, noise_of(steps), metric, q=q, rho=rho)
    draws, moved = drawn_everywhere(h)
    return h, draws, torch.tensor([h.read(d, 0.0).status != "abstained" for d in draws]), moved


def violations(reading, steps, answers, moved):
    """Pairs within k steps that both answer and lie farther apart than reading(k) says; and certified inputs."""
    wrong = certified = 0
    for k in range(steps):
        eps_out = torch.tensor(reading(k))
        near = (k >= STEPS_APART) & answers[:, None] & answers[None, :]
        wrong += int((near & (moved > eps_out[:, None])).sum())
        certified += int((eps_out.isfinite() & answers).sum())
    return wrong, certified


@pytest.mark.parametrize(
    ("make", "outputs", "metric", "rho"),
    [
        (random_network, 2, L2, 4.0),
        (random_points, 1, L2, 0.5),
        (random_points, 2, L2, 1.0),
        (random_points, 4, Jaccard, 0.6),
    ],
)
@pytest.mark.parametrize(("steps", "q"), [(8, 0.5), (8, 0.7), pytest.param(13, 0.6, marks=pytest.mark.slow)])
def test_no_input_within_eps_moves_the_center_by_more_than_eps_out(make, outputs, metric, rho, steps, q):
    h, draws, answers, moved = everywhere(make(1, outputs), metric(), steps, q, rho)
    found = [[h.read(d, k / Q) for d in draws] for k in range(steps)]
    wrong, certified = violations(lambda k: [each.eps_out for each in found[k]], steps, answers, moved)
    assert wrong == 0
    assert certified > 0
    for k in range(steps):  # wherever it says that f_hat answers within k steps, it does
        surely = torch.tensor([each.answers for each in found[k]])
        assert not ((k >= STEPS_APART) & surely[:, None] & ~answers[None, :]).any()
    if make is random_network:
        assert any(each.answers for each in found[1])


def test_a_rank_that_forgets_one_changed_output_is_caught():
    """With the k of eps - 1/levels, and with K outputs too few, the statement is false somewhere."""
    steps = 8
    h, draws, answers, moved = everywhere(random_points(3, 1, values=2), L2(), steps, 0.6, 0.5)
    assert violations(lambda k: [h.read(d, k / Q).eps_out for d in draws], steps, answers, moved)[0] == 0
    assert violations(lambda k: [h.read(d, max(0, k - 1) / Q).eps_out for d in draws], steps, answers, moved)[0] > 0

    def one_more_held(k):  # as if B(z', rho) held K + 1: the two counts then add up to L only
        q = (outputs_held(steps, h.q) + 1) / steps
        return [exact_balanced_certificate(d, k / Q, h.noise, L2(), q, 10.0).eps_out - 10.0 + h.rho for d in draws]

    assert violations(one_more_held, steps, answers, moved)[0] > 0


def test_the_certificate_by_hand():
    """Nine outputs at 0, 1, ..., 8, K = 6: rank 4 at eps = 0, one more for each whole grid step."""
    h = ExactBalancedCenterSmoothing(random_network(0, 1), noise_of(9), L2(), q=0.6, rho=5.0)
    draws = h.draw(GRID[5] / Q)
    draws = type(draws)(**{**vars(draws), "distances": np.arange(9.0)})
    for eps, rank in [(0, 4), (0.19, 4), (0.2, 5), (0.6 - 1e-16, 7), (0.79, 7), (0.8, 8), (1.0, 9)]:
        found = h.read(draws, eps)
        assert (found.order_statistic, found.distance_quantile) == (rank, rank - 1)
        assert found.eps_out == pytest.approx(rank - 1 + 5.0, rel=1e-9)
        assert (found.failure_probability, found.n) == (0, 9)
    failed = h.read(draws, 1.2)
    assert (failed.status, failed.eps_out) == ("failed", float("inf"))
    assert "the largest eps under this noise is 1" in failed.reason
    abstained = exact_balanced_certificate(draws, 0, noise_of(9), L2(), 0.6, 4.9)
    assert (abstained.status, abstained.eps_out) == ("abstained", float("inf"))
    assert abstained.reason == "the ball of radius rho = 4.9 holds 5 of 9 outputs, fewer than 6"


def test_it_reaches_farther_than_the_other_certificate():
    f, noise = random_network(0, 2), noise_of(13)
    other = ExactCenterSmoothing(f, noise, L2())
    ours = ExactBalancedCenterSmoothing(f, noise, L2(), q=0.85, rho=8.0)
    x = GRID[77] / Q
    assert other.certify(x, 8 / Q).status == "failed"
    assert ours.certify(x, 8 / Q).status == "certified"


@pytest.mark.parametrize(
    ("settings", "message"), [({"q": None}, "certifier.q"), ({"rho": None}, "certifier.rho"), ({"q": 1}, "certifier.q")]
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        ExactBalancedCenterSmoothing(random_network(0, 2), noise_of(9), L2(), **({"q": 0.6, "rho": 1.0} | settings))
    with pytest.raises(SettingError, match="noise"):
        ExactBalancedCenterSmoothing(random_network(0, 2), Gaussian(0.5), L2(), q=0.6, rho=1.0)
