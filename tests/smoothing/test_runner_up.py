"""Bounds on the runner-up: they hold together, no certificate is false more often than alpha, and radii grow."""

from math import inf

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from smoothing import (
    Adaptive,
    Certify,
    Gaussian,
    SettingError,
    SmoothedClassifier,
    Splitting,
    Uniform,
    betting,
    randomised,
)
from smoothing.class_bounds import ClassBounds
from smoothing.classifier_guarantee import certificate
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper
from smoothing.streams import Stage

NOISE = Gaussian(sigma=0.5)
NEAR_TIES = {3: (0.35, 0.34, 0.31), 10: (0.14, *(0.86 / 9,) * 9)}


def bands(batch):
    """Four classes by the sum of the inputs: below -0.4, up to 0, up to 0.5, above."""
    total = batch.flatten(1).sum(dim=1, keepdim=True)
    centers = torch.tensor([-0.8, -0.2, 0.25, 0.75])
    return -(total - centers).abs()


def law(x, sigma):
    """P[class] of `bands` under Gaussian noise at the number x."""
    cuts = norm.cdf((np.array([-0.5, 0.025, 0.5]) - x) / sigma)
    return np.diff([0, *cuts, 1])


def true_distance(x, label, sigma):
    """Distance from x to the nearest number whose most probable class is another one, to 1e-4."""
    steps = np.arange(0, 3, 1e-4)
    return min(next((r for r in steps if law(x + way * r, sigma).argmax() != label), inf) for way in (-1, 1))


@pytest.mark.parametrize("bound", ["exact", "randomised"])
@pytest.mark.parametrize("classes", [3, 10])
def test_all_bounds_hold_together(classes, bound):
    tries = 4000 if bound == "exact" else 500
    alpha, n, rng = 0.1, 200, np.random.default_rng(classes)
    bounds, p = ClassBounds(alpha, "bounded", bound), np.array(NEAR_TIES[classes])
    failed = 0
    for counts in rng.multinomial(n, p, size=tries):
        u = 1 - rng.random()
        p_lower, p_upper = bounds.at(int(counts[0]), int(counts[1:].max()), n, classes, u)
        failed += p_lower > p[0] or p_upper < p[1:].max()
    assert failed / tries <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / tries)


@pytest.mark.parametrize("n", [1, 7, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize("p", [0.05, 0.5, 0.93])
def test_the_randomised_bound_fails_with_probability_alpha(n, p):
    alpha, us = 0.05, (np.arange(40) + 0.5) / 40
    for bound, sign in ((randomised.lower, 1), (randomised.upper, -1)):
        wrong = [np.mean([sign * bound(k, n, alpha, u) > sign * p for u in us]) for k in range(n + 1)]
        failing = float(binom.pmf(np.arange(n + 1), n, p) @ wrong)
        assert failing == pytest.approx(alpha, abs=0.5 / 40)  # us are 40 midpoints


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (990, 1000), (99_990, 100_000)])
def test_a_randomised_bound_lies_between_two_exact_ones(k, n):
    alpha = 0.001
    found = [randomised.lower(k, n, alpha, u) for u in (1.0, 0.7, 0.3, 1e-9)]
    assert found[0] == clopper_pearson_lower(k, n, alpha)
    assert found == sorted(found)
    assert found[-1] <= (clopper_pearson_lower(k + 1, n, alpha) if k < n else 1 - 2**-53)
    assert randomised.upper(k, n, alpha, 1.0) >= clopper_pearson_upper(k, n, alpha) - 1e-9
    for u in (0.7, 0.3):  # p is rejected below the bound and not above it
        p = randomised.lower(k, n, alpha, u)
        if 0 < p < 0.99:
            assert (1 - u) * binom.sf(k, n, p) + u * binom.sf(k - 1, n, p) <= alpha


def test_the_uniform_number_is_uniform_and_an_examples_own():
    us = np.array([randomised.uniform_number(0, example) for example in range(2000)])
    assert 0 < us.min() < 0.01 < 0.99 < us.max() <= 1
    assert us.mean() == pytest.approx(0.5, abs=0.03)
    assert randomised.uniform_number(1, 5) != us[5] == randomised.uniform_number(0, 5)
    assert len({stage.value for stage in Stage}) == len(Stage)


@pytest.mark.parametrize("u", [0.0, 1.1, float("nan")])
def test_another_uniform_number_is_refused(u):
    with pytest.raises(SettingError, match="u: expected a number above 0"):
        randomised.lower(3, 10, 0.1, u)


def test_levels_add_up_to_alpha():
    for classes in (3, 10, 1000):
        own, others = ClassBounds(0.001, "bounded").levels(classes)
        assert own + (classes - 1) * others == pytest.approx(0.001)
    assert ClassBounds(0.001, "bounded").levels(2) == ClassBounds(0.001).levels(10) == (0.001, 0.0)


def test_the_certificate_is_read_off_the_counts():
    c = certificate(0, 500, 100, 1000, 100, NOISE, ClassBounds(0.01, "bounded"), 10)
    low, high = clopper_pearson_lower(500, 1000, 0.005), clopper_pearson_upper(100, 1000, 0.005 / 9)
    assert (c.p_lower, c.p_upper, c.classes) == (low, pytest.approx(high, rel=1e-9), 10)
    assert c.radius == pytest.approx(0.25 * (norm.ppf(low) - norm.ppf(high)), rel=1e-9)
    assert (c.status, c.failure_probability, c.prediction) == ("certified", 0.01, 0)


@pytest.mark.parametrize("noise", [NOISE, Gaussian(0.5, grid=255), Uniform(0.5), Splitting(0.5, levels=16)])
@pytest.mark.parametrize("runner_up", ["complement", "bounded"])
def test_it_abstains_exactly_where_the_radius_is_not_positive(noise, runner_up):
    bounds = ClassBounds(0.001, runner_up)
    both = set()
    for n_a in range(300, 700, 7):
        c = certificate(1, n_a, 1000 - n_a - 50, 1000, 10, noise, bounds, 3)
        assert (c.radius > 0) == (c.status == "certified") == (c.prediction == 1) == (c.failure_probability > 0)
        both.add(c.status)
    assert both == {"certified", "abstained"}


def test_a_reason_names_both_bounds():
    c = certificate(1, 400, 350, 1000, 10, NOISE, ClassBounds(0.001, "bounded"), 10)
    assert c.reason == "p_lower = 0.3494 <= p_upper = 0.4101"


@pytest.mark.parametrize("bound", ["exact", "randomised"])
@pytest.mark.parametrize("x", [0.02, *(pytest.param(x, marks=pytest.mark.slow) for x in (-0.24, 0.26))])
def test_no_radius_is_beyond_the_true_distance_more_often_than_alpha(x, bound):
    alpha, tries = 0.2, 300
    label = int(law(x, 0.5).argmax())
    truth = true_distance(x, label, 0.5)
    settings = {"runner_up": "bounded", "bound": bound, "num_classes": 4, "batch_size": 1000}
    g = Certify(bands, NOISE, n0=1000, n=300, alpha=alpha, **settings)
    point = torch.tensor([x])
    found = [c for c, _ in g.engine.run_all(g.procedure(point, example, label) for example in range(tries))]
    wrong = sum(c.prediction not in (label, -1) or (c.prediction == label and c.radius > truth) for c in found)
    assert wrong / tries <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / tries)
    assert any(c.status == "certified" for c in found)


@pytest.mark.parametrize("noise", [NOISE, Uniform(0.5), Uniform(1.0)])
def test_radii_grow_where_several_classes_share_the_rest(noise):
    def stripes(batch):
        """Class 0 above 0.5; below, classes 1, 2 and 3 in turn."""
        total = batch.flatten(1).sum(dim=1) - 0.5
        classes = torch.where(total > 0, 0, 1 + (total * -32).long() % 3)
        return torch.nn.functional.one_hot(classes, 4).float()

    paper, ours = (
        SmoothedClassifier(stripes, noise).certify(torch.tensor([0.6875]), n=10_000, runner_up=runner_up, example=3)
        for runner_up in ("complement", "bounded")
    )
    assert (paper.n_a, paper.n_b, paper.guess, paper.classes) == (ours.n_a, ours.n_b, ours.guess, 4)
    assert ours.radius > 1.3 * paper.radius > 0


def test_the_runner_up_is_counted_among_the_samples_of_the_estimate():
    g = SmoothedClassifier(bands, NOISE)
    x = torch.tensor([0.1])
    for example in range(5):
        c = g.certify(x, n0=50, n=500, runner_up="bounded", example=example)
        counts = g.votes(x, 500, example, Stage.ESTIMATION).tolist()
        assert c.n_a == counts.pop(c.guess)
        assert c.n_b == max(counts)


def test_two_classes_have_the_papers_radius():
    def two(batch):
        return torch.cat([-batch, batch], dim=1)

    for runner_up in ("complement", "bounded"):
        c = Certify(two, NOISE, n=1000, runner_up=runner_up)(torch.tensor([0.3]), 0, 1)
        assert c.p_lower == clopper_pearson_lower(c.n_a, 1000, 0.001)


def test_rows_of_the_paper_are_read_again_with_the_runner_up_bounded():
    settings = {"n0": 100, "n": 2000, "num_classes": 4}
    paper, ours = Certify(bands, NOISE, **settings), Certify(bands, NOISE, **settings, runner_up="bounded")
    drawn = Certify(bands, NOISE, **settings, runner_up="bounded", bound="randomised")
    for example in range(5):
        x = torch.tensor([0.6 + 0.1 * example])
        row = {"index": example} | paper(x, example).as_dict()
        assert ours.read_again(row) == ours(x, example)
        assert drawn.read_again(row) == drawn(x, example)
        older = {key: value for key, value in row.items() if key not in Certify.younger}
        assert ours.read_again(older) == ours(x, example)
    with pytest.raises(SettingError, match="num_classes: expected the number of classes"):
        Certify(bands, NOISE, runner_up="bounded").read_again(older)


def test_adaptive_needs_fewer_samples_with_the_runner_up_bounded():
    x = torch.tensor([0.8])
    paper, ours = (
        Adaptive(bands, NOISE, radius=0.32, runner_up=runner_up, num_classes=4)(x, 0, 3)
        for runner_up in ("complement", "bounded")
    )
    assert (ours.decision, paper.decision) == ("yes", "no")
    assert ours.radius >= 0.32
    found = Adaptive(bands, NOISE, mode="radius", tolerance=0.05, runner_up="bounded")(x, 0, 3)
    assert found.radius > 0.29
    assert Adaptive(bands, NOISE, radius=0.9, runner_up="bounded")(x, 0, 3).decision == "no"


def test_adaptive_bounds_have_the_levels_of_all_classes():
    certifier = Adaptive(bands, NOISE, radius=0.1, runner_up="bounded")
    low, high = betting.lower(500, 1000, 0.0005), betting.upper(100, 1000, 0.0005 / 9)
    assert certifier.bounds_after(500, 100, 1000, classes=10) == (low, high)
    best = betting.upper(500, 1000, 0.0005), betting.lower(100, 1000, 0.0005 / 9)
    assert certifier.most_after(500, 100, 1000, classes=10) == best
    assert certifier.bounds_after(500, 100, 1000, classes=2) == (betting.lower(500, 1000, 0.001), None)


@pytest.mark.parametrize("decided", ["yes", "no"])
def test_adaptive_decisions_are_false_with_probability_alpha_at_most(decided):
    """The radius asked for is just above (below) the true one, so yes (no) is false. Counts as f would give them."""
    alpha, n, tries, rng = 0.1, 4096, 60, np.random.default_rng(7)
    p = np.array([0.4, 0.3, 0.3])
    true = NOISE.radius(p[0], p[1])
    radius = true * (1.001 if decided == "yes" else 0.999)
    certifier = Adaptive(bands, NOISE, n=n, alpha=alpha, radius=radius, runner_up="bounded")
    wrong = 0
    for _ in range(tries):
        counts, drawn, decision = np.zeros(3, dtype=int), 0, None
        while decision is None:
            counts, drawn = counts + rng.multinomial(256, p), drawn + 256
            decision = certifier.decided(int(counts[0]), int(counts[1:].max()), drawn, 3)
        wrong += decision == decided
    assert wrong / tries <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / tries)


@pytest.mark.parametrize(("setting", "value"), [("runner_up", "best"), ("bound", "paper")])
def test_unknown_settings_are_refused(setting, value):
    with pytest.raises(SettingError, match=f"certifier.{setting}: expected"):
        Certify(bands, NOISE, **{setting: value})


def test_the_least_number_of_samples_is_that_of_half_of_alpha():
    with pytest.raises(SettingError, match="at least 11 are needed"):
        Certify(bands, NOISE, n=10, runner_up="bounded")
    c = certificate(0, 11, 0, 11, 1, NOISE, ClassBounds(0.001, "bounded"), 10)
    assert c.radius > 0
