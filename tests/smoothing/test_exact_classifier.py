"""DSSN certificates against brute force: all images of 3 pixels and 6 levels."""

from itertools import product

import numpy as np
import pytest
import torch
from small_grid import GRID, STEPS_APART, D, Q, hashes, noise_of

from smoothing import (
    ABSTAIN,
    BaseFunctionError,
    ExactCertify,
    Gaussian,
    SettingError,
    SmoothedClassifier,
    Splitting,
    Uniform,
)
from smoothing.exact_guarantee import exact_certificate
from smoothing.votes import Votes

pytestmark = pytest.mark.long


def random_network(seed, classes=3):
    """Steep enough for its smoothed version to change often."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(16, D, generator=generator) * 8, torch.randn(classes, 16, generator=generator)
    offset = torch.randn(16, generator=generator)
    return lambda x: torch.relu((x - 0.5) @ first.T + offset) @ second.T


def random_function(seed, classes=3):
    """No structure at all: the class is read off a hash of the noisy input."""

    def f(batch):
        return torch.nn.functional.one_hot(hashes(seed, batch)[:, 0] % classes, classes).float()

    return f


def certified_everywhere(f, noise):
    g = SmoothedClassifier(f, noise, batch_size=1000)
    found = [c for c, _ in g.engine.run_all(g.certifying_exactly(x / Q) for x in GRID)]  # which share batches
    return torch.tensor([c.prediction for c in found]), torch.tensor([c.radius_steps for c in found])


@pytest.mark.parametrize("steps", [2, 4, 5, 8, 12])  # lambda = 0.2, 0.4, 0.5, 0.8, 1.2
@pytest.mark.parametrize("make", [random_network, random_function])
def test_no_image_within_the_radius_has_another_class_and_some_just_outside_has(make, steps):
    tight = 0
    for seed in range(4):
        prediction, radius = certified_everywhere(make(seed), noise_of(steps, seed))
        changed = prediction[:, None] != prediction
        assert not (changed & (radius[:, None] >= STEPS_APART)).any()
        tight += int((changed & (radius[:, None] + 1 == STEPS_APART)).sum())
    assert tight > 0


@pytest.mark.parametrize("steps", [2, 4, 5, 8, 12])
def test_probabilities_are_lipschitz_exactly_in_integers(steps):
    """|p(x) - p(x')| <= ||x - x'||_1 / (2 lambda): counts change by one a grid step at most, whatever the function."""
    noise = noise_of(steps)
    f, random = random_function(7), np.random.default_rng(0)
    counts = torch.stack([f(torch.cat(list(noise.enumerate(x / Q, 99)))).sum(dim=0).int() for x in GRID])
    pairs = torch.from_numpy(random.integers(0, len(GRID), (20_000, 2)))
    apart = STEPS_APART[pairs[:, 0], pairs[:, 1]]
    change = (counts[pairs[:, 0]] - counts[pairs[:, 1]]).abs().max(dim=1).values
    assert (change <= apart).all()
    assert ((change == apart) & (apart > 0)).any()


@pytest.mark.parametrize(
    ("votes", "prediction", "steps", "runner_up"),
    [
        ([10, 0, 0], 0, 5, 1),
        ([0, 0, 10], 2, 4, 0),  # a tie would go to class 0
        ([5, 5, 0], 0, 0, 1),
        ([3, 4, 3], 1, 0, 0),
        ([2, 6, 2], 1, 1, 0),
        ([1, 7, 2], 1, 2, 0),  # 7 - 1 - 1 = 5 and 7 - 2 = 5: the first of the smallest
        ([1, 0, 0], 0, 0, 1),
        ([0, 0, 2], 2, 0, 0),
        ([0, 0, 3], 2, 1, 0),
    ],
)
def test_ties_go_to_the_lower_class_and_the_radius_knows(votes, prediction, steps, runner_up):
    noise = noise_of(10)
    found = exact_certificate(votes, noise)
    assert (found.prediction, found.radius_steps) == (prediction, steps)
    assert found.runner_up == runner_up
    assert found.radius == steps / Q
    assert found.status == "certified"
    assert found.not_finite == 1 - sum(votes) / 10


def test_every_tie_breaking_vote_that_could_be_moved_is():
    """For all counts of 7 votes: radius_steps moves of the worst kind leave the prediction, one more does not."""
    noise = noise_of(7)
    for votes in product(range(8), repeat=3):
        if sum(votes) != 7:
            continue
        found = exact_certificate(votes, noise)
        a, k = found.prediction, found.radius_steps
        assert all(_after(votes, a, b, k) == a for b in range(3) if b != a)
        assert any(_after(votes, a, b, k + 1) != a for b in range(3) if b != a) or votes[a] <= k


def _after(votes, a, b, moved):
    changed = list(votes)
    taken = min(moved, changed[a])
    changed[a], changed[b] = changed[a] - taken, changed[b] + taken
    return changed.index(max(changed))


def test_scores_that_are_not_finite_are_of_no_class():
    noise = noise_of(10)

    def f(batch):
        scores = torch.zeros(len(batch), 3)
        scores[:, 1] = 1
        scores[batch[:, 0] > 0.5] = float("nan")
        return scores

    found = SmoothedClassifier(f, noise).certify_exactly(torch.full((D,), 0.4))
    gone = int((torch.cat(list(noise.enumerate(torch.full((D,), 0.4), 99)))[:, 0] > 0.5).sum())
    assert 0 < gone < 10
    assert found.n_a == 10 - gone
    assert found.not_finite == pytest.approx(gone / 10)
    assert found.radius_steps == (10 - gone - 1) // 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_without_a_vote_nothing_is_certified(value):
    """Under DSSN it said class 0, certified, and so was right for a twelfth of the examples."""
    found = ExactCertify(lambda b: torch.full((len(b), 12), value), noise_of(10))(torch.full((D,), 0.4), 0, 0)
    assert (found.status, found.prediction, found.radius, found.radius_steps) == ("failed", ABSTAIN, 0.0, 0)
    assert (found.n_a, found.n_b, found.n, found.not_finite, found.p_lower) == (0, 0, 10, 1.0, 0.0)
    assert "no noisy input is of any class" in found.reason


def partly_of_no_class(seed, classes=3):
    """Any class, or none, read off a hash of the noisy input: NaN, +inf beside others, -inf alone."""
    whole = random_function(seed, classes + 3)

    def f(batch):
        kind = whole(batch).argmax(dim=1)
        scores = torch.nn.functional.one_hot(kind.clamp(max=classes - 1), classes).float()
        for extra, value in enumerate((torch.nan, torch.inf)):
            scores[kind == classes + extra, extra] = value
        scores[kind == classes + 2] = -torch.inf
        return scores

    return f


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
def test_inputs_of_no_class_break_no_certificate(steps):
    """Brute force: within the radius g is the same class, and never without an answer."""
    tight = abstained = 0
    for seed in range(3):
        noise, f = noise_of(steps, seed), partly_of_no_class(seed)
        votes = [Votes()(f(noise.copies(x / Q, 0, steps)))[:-1].tolist() for x in GRID]
        found = [exact_certificate(counts, noise) for counts in votes]
        prediction, radius = torch.tensor([c.prediction for c in found]), torch.tensor([c.radius_steps for c in found])
        changed = prediction[:, None] != prediction
        certified = (prediction != ABSTAIN)[:, None]
        assert not (certified & changed & (radius[:, None] >= STEPS_APART)).any()
        assert (radius[prediction == ABSTAIN] == 0).all()
        tight += int((certified & changed & (radius[:, None] + 1 == STEPS_APART)).sum())
        abstained += int((prediction == ABSTAIN).sum())
    assert tight > 0
    assert abstained > 0 or steps > 3


def test_two_runs_and_any_batch_size_agree():
    noise, x = noise_of(12), torch.tensor([0.2, 0.4, 1.0])
    found = [SmoothedClassifier(random_network(1), noise, batch_size=b).certify_exactly(x) for b in (1, 5, 12, 1000)]
    assert all(c == found[0] for c in found)


@pytest.mark.parametrize("sigma", [0.5, 1.5])
@pytest.mark.parametrize("pixel", [0.0, 0.2, 0.8, 1.0])
@pytest.mark.parametrize("make", [Uniform, lambda sigma: Splitting(sigma, Q)])
def test_the_randomised_certificate_is_the_true_distance_of_a_threshold_on_one_pixel(make, pixel, sigma):
    """P(noisy pixel > 1/2) is linear in the pixel, of slope 1/(2 lambda): it is 1/2 where the smoothed class flips."""
    noise = make(sigma)
    flips_at = 0.5 if isinstance(noise, Uniform) else noise.lam  # splitting: the probability is pixel / (2 lambda)
    x = torch.tensor([pixel, 0.2, 0.0, 0.4])

    def f(batch):
        above = (batch[:, :1] > 0.5).float()
        return torch.cat([1 - above, above], dim=1)

    found = SmoothedClassifier(f, noise, batch_size=500).certify(x, n0=2000, n=20_000, alpha=0.001)
    true = abs(pixel - flips_at)
    assert true - 0.03 * 2 * noise.lam < found.radius <= true + 1e-6
    assert found.prediction in (int(pixel > flips_at), -1)


def test_the_deterministic_certificate_is_no_looser_than_the_randomised_one():
    g, compared = SmoothedClassifier(random_network(0), noise_of(12)), 0
    for example, k in enumerate(GRID[::4]):
        exact = g.certify_exactly(k / Q)
        if not 0.5 < exact.p_lower < 1:
            continue  # where all agree, both are at the largest radius
        estimated = g.certify(k / Q, n0=64, n=10_000, alpha=0.001, example=example)
        assert estimated.radius <= exact.radius
        assert abs(estimated.n_a / 10_000 - exact.p_lower) < 0.03
        compared += 1
    assert compared >= 10


def test_what_cannot_be_enumerated_or_answers_nothing_is_refused():
    with pytest.raises(SettingError, match=r"noise: Gaussian.*use noise=dssn, band or block"):
        ExactCertify(random_network(0), Gaussian(0.5))
    with pytest.raises(BaseFunctionError, match="expected scores"):
        SmoothedClassifier(lambda x: x[:, None], noise_of(5)).certify_exactly(torch.zeros(D))
    with pytest.raises(SettingError, match="floating-point"):
        SmoothedClassifier(random_network(0), noise_of(5)).certify_exactly(torch.zeros(D, dtype=torch.int64))
