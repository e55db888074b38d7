"""Adaptive certification: its decisions and radii where the probability of class A is known, and what they cost."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm

from smoothing import (
    ABSTAIN,
    Adaptive,
    Certify,
    Gaussian,
    SettingError,
    SmoothedClassifier,
    betting,
)
from smoothing.adaptive import chunk
from smoothing.streams import Stage

SIGMA = 0.5
NOISE = Gaussian(SIGMA)


def linear(batch):
    """Class 1 where the first coordinate is positive: the true radius at x is |x_1|."""
    return torch.stack([-batch[:, 0], batch[:, 0]], dim=1)


def three_classes(batch):
    """Class 0 below 0, class 1 in [0, 1), class 2 above."""
    x = batch[:, 0]
    return torch.stack([(x < 0), (x >= 0) & (x < 1), (x >= 1)], dim=1).float()


def at(p):
    """The input at which class 1 of `linear` has probability p."""
    return torch.tensor([SIGMA * float(norm.ppf(p))])


def simulated(certifier, p, rng):
    """(n, n_a, decision) of a run whose samples are of class A with probability p."""
    n = n_a = 0
    while True:
        more = chunk(n, certifier.n)
        n, n_a = n + more, n_a + int(rng.binomial(more, p))
        if (decision := certifier.decided(n_a, n - n_a, n, 2)) is not None:
            return n, n_a, decision


@pytest.mark.parametrize(("p", "decision"), [(0.55, "no"), (0.75, "no"), (0.95, "yes"), (0.999, "yes")])
def test_decisions(p, decision):
    certifier = Adaptive(linear, NOISE, radius=SIGMA)
    for example in range(5):
        c = certifier(at(p), example, 1)
        assert (c.decision, c.guess, c.n0) == (decision, 1, 100)
        assert c.n < 5000
        assert c.radius <= float(at(p))
        assert (c.radius >= SIGMA) == (decision == "yes")
        assert c.p_lower == pytest.approx(betting.lower(c.n_a, c.n, 0.001), rel=1e-12)
        assert c.radius == (NOISE.radius(c.p_lower) if c.p_lower > 0.5 else 0)
        assert c.n_a + c.n_b == c.n


def test_a_no_beside_a_smaller_certificate():
    c = Adaptive(linear, NOISE, radius=SIGMA)(at(0.75), 0, 1)
    assert (c.decision, c.status, c.prediction, c.failure_probability) == ("no", "certified", 1, 0.001)
    assert 0 < c.radius < SIGMA


def test_undecided_at_the_most_samples():
    c = Adaptive(linear, NOISE, radius=SIGMA, n=1000)(at(float(norm.cdf(1))), 0, 1)
    assert (c.decision, c.n, c.status) == ("undecided", 1000, "certified")
    assert c.p_lower == betting.lower(c.n_a, 1000, 0.001)
    assert c.radius < SIGMA


@pytest.mark.parametrize("mode", [{"radius": 0.4}, {"mode": "radius", "tolerance": 0.1}])
@pytest.mark.parametrize("batch_size", [1, 50, 64, 1000])
def test_the_batch_size_changes_nothing(mode, batch_size):
    found, expected = (
        Adaptive(three_classes, NOISE, n=1500, batch_size=size, **mode)(torch.tensor([0.45]), 3, 1)
        for size in (batch_size, 128)
    )
    assert found == expected


def test_examples_in_one_batch_change_nothing():
    certifier = Adaptive(three_classes, NOISE, n=3000, radius=0.4, batch_size=500)
    xs = [torch.tensor([value]) for value in np.linspace(-0.5, 1.5, 11)]
    together = certifier.engine.run_all(certifier.procedure(x, i, 1) for i, x in enumerate(xs))
    assert [c for c, _ in together] == [certifier(x, i, 1) for i, x in enumerate(xs)]


def test_the_samples_are_the_first_ones_of_certify():
    x, g = torch.tensor([0.45]), SmoothedClassifier(three_classes, NOISE)
    c = Adaptive(three_classes, NOISE, radius=0.3)(x, 7, 1)
    votes = g.votes(x, c.n, 7, Stage.ESTIMATION)
    assert 32 < c.n < 10_000
    assert c.guess == int(g.votes(x, 100, 7, Stage.SELECTION).argmax())
    assert (c.n_a, c.n_b) == (votes[c.guess], max(v for i, v in enumerate(votes.tolist()) if i != c.guess))


@pytest.mark.parametrize("n_max", [1, 20, 32, 100, 12_345, 100_000])
def test_chunks_end_at_the_most_samples(n_max):
    ends = [0]
    while ends[-1] < n_max:
        ends.append(ends[-1] + chunk(ends[-1], n_max))
    assert ends[-1] == n_max
    assert all(b - a <= max(32, a / 8 + 32) for a, b in itertools.pairwise(ends))
    assert len(ends) < 80


@pytest.mark.parametrize(
    ("p", "draws"),
    [
        *[(0.6, 70), (0.95, 180), (0.99, 70), (0.999, 61)],
        *(pytest.param(p, draws, marks=pytest.mark.slow) for p, draws in ((0.75, 400), (0.9, 600))),
    ],
)
def test_mean_draws_to_decide_on_sigma(p, draws):
    """At most 1.3 times the draws aimed at, which a bound by the whole prior, looked at every draw, takes about."""
    certifier, rng = Adaptive(linear, NOISE, radius=SIGMA), np.random.default_rng(0)
    runs = [simulated(certifier, p, rng) for _ in range(300)]
    print(f"p = {p}: {np.mean([n for n, *_ in runs]):.0f} draws")
    assert np.mean([n for n, *_ in runs]) <= 1.3 * draws
    assert {decision for *_, decision in runs} == {"yes" if p > norm.cdf(1) else "no"}


@pytest.mark.slow
def test_wrong_decisions_are_no_more_frequent_than_alpha():
    """At the probability where yes begins to be true: no is false there, and yes just below it."""
    alpha, repetitions = 0.05, 4000
    certifier, rng = Adaptive(linear, NOISE, radius=SIGMA, alpha=alpha, n=5000), np.random.default_rng(0)
    decisions = [simulated(certifier, float(norm.cdf(1)), rng)[2] for _ in range(repetitions)]
    for wrong in ("yes", "no"):
        assert binomtest(decisions.count(wrong), repetitions, alpha, alternative="greater").pvalue > 1e-4
        assert decisions.count(wrong) > 0


@pytest.mark.parametrize("p", [0.4, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("tolerance", [0.1, pytest.param(0.05, marks=pytest.mark.slow)])
def test_stopping_gives_up_less_than_the_tolerance(p, tolerance):
    certifier = Adaptive(linear, NOISE, mode="radius", tolerance=tolerance)
    rng = np.random.default_rng(0)
    for _ in range(20):
        n, n_a, decision = simulated(certifier, p, rng)
        in_the_end = NOISE.radius(betting.lower(n_a + int(rng.binomial(certifier.n - n, p)), certifier.n, 0.001))
        assert in_the_end - NOISE.radius(betting.lower(n_a, n, 0.001)) < tolerance
        assert decision == ""
        assert n < 60_000


def test_radius_mode_takes_all_samples_where_the_tolerance_is_small():
    c = Adaptive(linear, NOISE, mode="radius", tolerance=1e-6, n=2000)(at(0.9), 0, 1)
    assert (c.n, c.decision, c.status) == (2000, "", "certified")


@pytest.mark.parametrize("largest", [0.4, 1.2])
def test_against_certify_with_a_fixed_n(largest):
    """The radius of all of n samples, whenever one looked, is a little below that of a fixed n."""
    x = torch.tensor([largest])
    fixed = Certify(linear, NOISE, n=20_000)(x, 0, 1)
    found = Adaptive(linear, NOISE, mode="radius", tolerance=1e-9, n=20_000)(x, 0, 1)
    assert (found.n_a, found.n) == (fixed.n_a, fixed.n)
    assert 0.95 * fixed.radius < found.radius < fixed.radius


def test_scores_that_are_not_finite_are_of_no_class():
    def broken(batch):
        return torch.where(batch[:, :1] > 0.5, torch.nan, linear(batch))

    c = Adaptive(broken, NOISE, radius=0.1, n=2000)(torch.tensor([0.4]), 0, 1)
    assert c.n_a + c.n_b < c.n
    assert (c.decision, c.status, c.prediction, c.radius) == ("no", "abstained", ABSTAIN, 0.0)
    c = Adaptive(lambda batch: linear(batch) * torch.nan, NOISE, radius=0.1)(torch.tensor([0.4]), 0, 1)
    assert (c.decision, c.n_a, c.n_b, c.n, c.p_lower) == ("no", 0, 0, 32, 0.0)


def test_an_example_whose_class_is_not_the_label_may_be_left():
    certifier = Adaptive(linear, NOISE, radius=0.1, stop_if_misclassified=True)
    left, kept = certifier(at(0.99), 0, 0), certifier(at(0.99), 0, 1)
    assert (left.status, left.n, left.decision, left.guess) == ("misclassified", 0, "", 1)
    assert (kept.status, kept.decision) == ("certified", "yes")


def test_the_largest_radius_can_be_decided_on_and_no_more():
    largest = Adaptive(linear, NOISE, n=1000, radius=0.1).largest_radius
    assert largest == NOISE.radius(betting.lower(1000, 1000, 0.001))
    c = Adaptive(linear, NOISE, n=1000, radius=largest)(torch.tensor([50.0]), 0, 1)
    assert (c.decision, c.n, c.radius) == ("yes", 1000, largest)
    with pytest.raises(SettingError, match=r"certifier\.radius: 1000 samples at alpha=0\.001 certify at most 1\.2"):
        Adaptive(linear, NOISE, n=1000, radius=largest * 1.0001)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"certifier\.radius: this mode needs a positive number .* as certifier\.radius=0\.1; got None"),
        ({"radius": 0.0}, r"certifier\.radius: this mode needs"),
        ({"radius": float("nan")}, r"certifier\.radius: this mode needs"),
        ({"radius": 0.1, "mode": "median"}, r"certifier\.mode: expected decide or radius, got median"),
        ({"mode": "radius"}, r"certifier\.tolerance: this mode needs a positive number"),
        ({"mode": "radius", "tolerance": -1.0}, r"certifier\.tolerance: this mode needs a positive number"),
        ({"radius": 0.1, "alpha": 0.0}, r"certifier\.alpha"),
        ({"radius": 0.1, "n0": 0}, r"certifier\.n0: expected at least 1"),
        ({"radius": 0.1, "n": 9}, "9 samples can never certify"),
        ({"radius": 0.1, "n": 10}, r"certifier\.n: 10 samples can never certify .* at least 12 are needed"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Adaptive(linear, NOISE, **settings)


def test_the_configuration(settings):
    group = settings("experiment=digits_gaussian", "certifier=adaptive", "noise.sigma=0.5").certifier.arguments
    assert group["tolerance"] == 0.05
    assert (group["mode"], group["radius"], group["n"], group["alpha"]) == ("decide", None, 100_000, 0.001)


def test_no_is_about_the_class_alone_if_no_other_is_bounded():
    """p_A = 0.55 and 45 classes of 0.01: theorem 1 gives 1.23 sigma, p_A alone 0.13 sigma."""
    alone, all_of_them = (
        Adaptive(linear, Gaussian(0.25), radius=0.1, runner_up=kind) for kind in ("complement", "bounded")
    )
    counts = {"n_a": 55_000, "n_b": 1000, "n": 100_000, "classes": 46}
    assert Gaussian(0.25).radius(0.55, 0.01) > 0.1 > Gaussian(0.25).radius(0.55)
    assert (alone.decided(**counts), all_of_them.decided(**counts)) == ("no", "yes")
