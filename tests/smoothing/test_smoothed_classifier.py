"""Smoothed classifiers: counts, certificates and predictions against closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, norm

from smoothing import (
    ABSTAIN,
    BaseFunctionError,
    Certify,
    Gaussian,
    Predict,
    SettingError,
    SmoothedClassifier,
    classifier_guarantee,
    projected_gradient_ascent,
)
from smoothing.attack import inside
from smoothing.class_bounds import ClassBounds
from smoothing.streams import Stage
from smoothing.votes import Votes

SIGMA = 0.5
NOISE = Gaussian(SIGMA)


class Linear(torch.nn.Module):
    """Two classes, 1 where w.x + b > 0: smoothing does not change it, its true distance is |w.x + b| / ||w||."""

    def __init__(self, weight, bias=0.0):
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(weight), bias

    def forward(self, batch):
        score = batch.flatten(1) @ self.weight + self.bias
        return torch.stack([-score, score], dim=1)

    def distance(self, x):
        return abs(float(x.flatten() @ self.weight + self.bias)) / float(self.weight.norm())


def three_classes(batch):
    """Class 0 below 0, class 1 in [0, 1), class 2 above."""
    x = batch[:, 0]
    return torch.stack([(x < 0), (x >= 0) & (x < 1), (x >= 1)], dim=1).float()


def test_votes_are_the_probabilities():
    votes = SmoothedClassifier(three_classes, NOISE).votes(torch.tensor([0.3]), 100_000, 0, Stage.ESTIMATION)
    edges = norm.cdf((np.array([0.0, 1.0]) - 0.3) / SIGMA)
    expected = np.diff([0.0, *edges, 1.0])
    assert votes.sum() == 100_000
    assert np.abs(votes.numpy() / 100_000 - expected).max() < 4 * 0.5 / math.sqrt(100_000)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000, 10_000])
def test_the_batch_size_changes_no_vote(batch_size):
    found, expected = (
        SmoothedClassifier(three_classes, NOISE, batch_size=size).votes(torch.tensor([0.3]), 700, 5, Stage.ESTIMATION)
        for size in (batch_size, 128)
    )
    assert found.tolist() == expected.tolist()


def test_selection_estimation_and_prediction_are_fresh():
    g = SmoothedClassifier(three_classes, NOISE)
    votes = [tuple(g.votes(torch.tensor([0.3]), 1000, 0, stage).tolist()) for stage in Stage]
    assert len(set(votes)) == len(votes)


def test_certify_estimates_on_fresh_samples():
    seen = []
    g = SmoothedClassifier(lambda batch: seen.append(batch.clone()) or three_classes(batch), NOISE, batch_size=50)
    g.certify(torch.tensor([0.45]), n0=100, n=200)
    drawn = torch.cat([batch for batch in seen if len(batch) == 50])  # not the probe's few
    assert len(drawn.unique(dim=0)) == len(drawn) == 300


def test_the_certificate_is_read_off_the_counts():
    c = SmoothedClassifier(three_classes, NOISE).certify(torch.tensor([0.45]), n0=100, n=1000)
    assert (c.prediction, c.status, c.n, c.n0) == (1, "certified", 1000, 100)
    expected = binomtest(c.n_a, c.n, alternative="greater").proportion_ci(0.999, "exact").low
    assert c.p_lower == pytest.approx(expected, rel=1e-9)
    assert c.radius == pytest.approx(SIGMA * norm.ppf(expected), rel=1e-9)
    assert c.radius <= SIGMA * norm.ppf(expected)
    assert c.n_a + c.n_b < 1000  # the third class has some too
    assert c.failure_probability == 0.001


@pytest.mark.parametrize(("n_a", "status"), [(500, "abstained"), (548, "abstained"), (550, "certified")])
def test_abstain_unless_p_lower_is_above_one_half(n_a, status):
    c = classifier_guarantee.certificate(3, n_a, 1000 - n_a, 1000, 100, NOISE, ClassBounds(0.001), 2)
    assert c.status == status
    assert (c.prediction, c.radius > 0) == ((3, True) if status == "certified" else (ABSTAIN, False))
    assert (c.failure_probability > 0) == (status == "certified")


def test_all_votes_and_none():
    assert classifier_guarantee.certificate(0, 1000, 0, 1000, 1, NOISE, ClassBounds(0.001), 2).radius == pytest.approx(
        SIGMA * norm.ppf(0.001 ** (1 / 1000)), rel=1e-9
    )
    c = classifier_guarantee.certificate(0, 0, 1000, 1000, 1, NOISE, ClassBounds(0.001), 2)
    assert (c.status, c.p_lower, c.radius) == ("abstained", 0.0, 0.0)


def test_scores_that_are_not_finite_are_of_no_class():
    def broken(batch):
        return torch.where(batch[:, :1] > 0, torch.nan, three_classes(batch))

    votes = SmoothedClassifier(broken, NOISE).votes(torch.tensor([0.0]), 1000, 0, Stage.ESTIMATION)
    assert 400 < votes.sum() < 600
    assert votes[1:].sum() == 0
    c = SmoothedClassifier(broken, NOISE).certify(torch.tensor([0.0]), n=1000)
    assert c.status == "abstained"


def rows(*scores):
    return Votes()(torch.tensor(scores)).tolist()


def test_the_class_of_a_row_of_scores():
    inf, nan = math.inf, math.nan
    assert rows([0.1, 0.3, 0.2]) == [0, 1, 0, 0]
    assert rows([-inf, -1.0, -inf]) == [0, 1, 0, 0]  # classes that are masked out
    assert rows([-inf, -inf, -inf]) == [0, 0, 0, 1]
    assert rows([nan, 1.0, 2.0]) == [0, 0, 0, 1]
    assert rows([0.0, inf, 0.0]) == [0, 0, 0, 1]
    assert rows([-inf, nan, 0.0]) == [0, 0, 0, 1]
    assert rows([5.0, 5.0, 1.0]) == [1, 0, 0, 0]  # ties go to the lowest class


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.uint16, torch.uint32]
)
def test_integer_scores_are_scores(dtype):
    scores = torch.tensor([[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]).to(dtype)
    assert Votes()(scores).tolist() == [2, 1, 1, 0]
    if dtype in (torch.bool, torch.uint16, torch.uint32):
        return  # for the base function to make numbers of that torch can subtract
    f = lambda b: three_classes(b).to(dtype)  # noqa: E731
    expected = SmoothedClassifier(three_classes, NOISE).certify(torch.tensor([0.45]), n=500)
    assert SmoothedClassifier(f, NOISE).certify(torch.tensor([0.45]), n=500) == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_scores_of_any_precision_are_scores(dtype):
    assert Votes()(torch.tensor([[1.0, 2.0], [-math.inf, 0.0], [math.nan, 0.0]]).to(dtype)).tolist() == [0, 2, 1]


def test_masked_classes_cost_nothing():
    def masked(b):
        return torch.cat([three_classes(b), torch.full((len(b), 4), -math.inf)], dim=1)

    found, expected = (
        SmoothedClassifier(f, NOISE).certify(torch.tensor([0.45]), n=500) for f in (masked, three_classes)
    )
    assert found == replace(expected, classes=7)
    assert found.status == "certified"


def test_what_is_not_finite_stands_in_the_reason():
    def broken(batch):
        return torch.where(batch[:, :1] > 0, torch.nan, three_classes(batch))

    all_nan = SmoothedClassifier(lambda b: torch.full((len(b), 3), math.nan), NOISE)
    c = all_nan.certify(torch.zeros(1), n=1000)
    assert (c.status, c.prediction, c.radius) == ("abstained", ABSTAIN, 0.0)
    assert c.reason == "p_lower = 0.0000 <= 1/2; 100.0% of the samples have scores that are NaN or infinite"
    p = all_nan.predict(torch.zeros(1))
    assert (p.status, p.prediction) == ("abstained", ABSTAIN)
    assert p.reason == "p-value 1 > alpha = 0.001; 100.0% of the samples have scores that are NaN or infinite"
    for label in (0, 1):
        stopped = all_nan.certify(torch.zeros(1), n=1000, stop_unless=label)
        assert (stopped.status, stopped.prediction, stopped.n, stopped.guess) == ("abstained", ABSTAIN, 0, ABSTAIN)
        assert "no selection sample is of any class" in stopped.reason
    c = SmoothedClassifier(broken, NOISE).certify(torch.zeros(1), n=1000)
    share = 1 - (c.n_a + c.n_b) / 1000
    assert 0.4 < share < 0.6
    assert c.reason.endswith(f"; {share:.1%} of the samples have scores that are NaN or infinite")
    whole = SmoothedClassifier(three_classes, NOISE).certify(torch.zeros(1), n=1000)
    assert whole.reason == f"p_lower = {whole.p_lower:.4f} <= 1/2"


def test_linear_radius_is_below_the_true_distance_and_near_it_at_a_million_samples():
    f = Linear(torch.tensor([3.0, 4.0]))
    g = SmoothedClassifier(f, NOISE, batch_size=20_000)
    for distance in (0.25, 1.0, 2.0):  # in units of sigma
        x = torch.tensor([0.6, 0.8]) * distance * SIGMA
        c = g.certify(x, n=1_000_000)
        assert c.prediction == 1
        assert f.distance(x) * 0.98 <= c.radius <= f.distance(x)


@pytest.mark.slow
def test_linear_radius_within_two_percent_up_to_two_sigma():
    """Near the boundary the slack of any bound at this n and alpha, about z / (2 phi(0) sqrt(n)) = 0.004 sigma (two
    standard errors more: 0.0065), is more than 2 % of the distance."""
    f = Linear(torch.tensor([3.0, 4.0]))
    g = SmoothedClassifier(f, NOISE, batch_size=50_000)
    for distance in np.linspace(0.1, 2.0, 10):
        x = torch.tensor([0.6, 0.8]) * float(distance) * SIGMA
        c = g.certify(x, n=1_000_000, example=int(100 * distance))
        assert f.distance(x) - max(0.02 * f.distance(x), 0.0065 * SIGMA) <= c.radius <= f.distance(x)


@pytest.mark.slow
def test_a_thousand_random_linear_classifiers():
    generator = torch.Generator().manual_seed(0)
    exceeded = certified = 0
    alpha = 0.05
    for repetition in range(1000):
        f = Linear(torch.randn(6, generator=generator), float(torch.randn(1, generator=generator)))
        x = torch.randn(6, generator=generator) * 0.5
        c = SmoothedClassifier(f, NOISE, batch_size=5000).certify(x, n0=20, n=500, alpha=alpha, example=repetition)
        certified += c.status == "certified"
        exceeded += c.radius > f.distance(x) or (c.status == "certified" and c.prediction != int(f(x[None]).argmax()))
    assert certified > 500
    assert binomtest(exceeded, 1000, alpha, alternative="greater").pvalue > 1e-4
    assert exceeded > 0  # alpha is large enough for the bound to be seen to fail now and then


@pytest.mark.slow
def test_predictions_near_a_tie_are_wrong_no_more_often_than_alpha():
    alpha, wrong, repetitions = 0.05, 0, 3000
    f = Linear(torch.tensor([1.0]))
    x = torch.tensor([0.02 * SIGMA])  # class 1 with probability 0.508
    for repetition in range(repetitions):
        wrong += SmoothedClassifier(f, NOISE).predict(x, n=200, alpha=alpha, example=repetition).prediction == 0
    assert binomtest(wrong, repetitions, alpha, alternative="greater").pvalue > 1e-4
    assert wrong > 0


@pytest.mark.parametrize(("n_a", "n_b"), [(50, 50), (60, 40), (70, 30), (1, 0), (0, 0), (500, 3)])
def test_prediction_is_the_two_sided_binomial_test(n_a, n_b):
    p = classifier_guarantee.prediction(7, n_a, n_b, 1000, 0.001)
    two_sided = min(1.0, 2 * binom.sf(n_a - 1, n_a + n_b, 0.5)) if n_a + n_b else 1.0
    assert p.p_value == pytest.approx(two_sided, rel=1e-9)
    assert (p.prediction == 7) == (two_sided <= 0.001)


def test_a_sample_of_ties_abstains():
    p = SmoothedClassifier(Linear(torch.tensor([1.0])), NOISE).predict(torch.zeros(1), n=1000)
    assert (p.prediction, p.status, p.failure_probability) == (ABSTAIN, "abstained", 0.0)


def test_stopping_after_selection_changes_no_correct_certificate():
    """Certified accuracy at every radius, and the average radius of correct ones, with and without."""
    xs = [torch.tensor([value]) for value in np.linspace(-1, 2, 31)]
    labels = [int(np.clip(np.floor(float(x)) + 1, 0, 2)) for x in xs]
    labels[::3] = [(label + 1) % 3 for label in labels[::3]]
    rows = {}
    for stop in (False, True):
        procedure = Certify(three_classes, NOISE, n0=50, n=500, stop_if_misclassified=stop)
        rows[stop] = [procedure(x, i, label) for i, (x, label) in enumerate(zip(xs, labels, strict=True))]
    assert any(row.status == "misclassified" for row in rows[True])
    assert not any(row.status == "misclassified" for row in rows[False])
    correct = {
        stop: [row.radius if row.prediction == label and row.status == "certified" else None for row, label in pairs]
        for stop, pairs in ((stop, list(zip(rows[stop], labels, strict=True))) for stop in rows)
    }
    assert correct[False] == correct[True]


def test_the_largest_radius():
    procedure = Certify(three_classes, NOISE, n=1000)
    assert procedure.largest_radius == pytest.approx(SIGMA * norm.ppf(0.001 ** (1 / 1000)), rel=1e-9)
    assert procedure(torch.tensor([50.0]), 0, 2).radius == procedure.largest_radius


@pytest.mark.parametrize(
    ("procedure", "settings", "message"),
    [
        (Certify, {"n": 9}, "9 samples can never certify at alpha=0.001; at least 10 are needed"),
        (Certify, {"n0": 0}, r"certifier\.n0: expected at least 1"),
        (Certify, {"alpha": 0.0}, r"certifier\.alpha"),
        (Certify, {"alpha": 1.0}, r"certifier\.alpha"),
        (Certify, {"batch_size": 0}, "batch_size"),
        (Predict, {"n": 10}, "10 samples always abstain at alpha=0.001; at least 11 are needed"),
        (Predict, {"alpha": float("nan")}, r"certifier\.alpha"),
    ],
)
def test_settings_that_cannot_work_are_refused(procedure, settings, message):
    with pytest.raises(SettingError, match=message):
        procedure(three_classes, NOISE, **settings)


def test_the_least_n_does():
    assert Certify(three_classes, NOISE, n=10)(torch.tensor([50.0]), 0, 2).status == "certified"
    assert Predict(three_classes, NOISE, n=11)(torch.tensor([50.0]), 0, 2).status == "predicted"


def test_scores_of_the_wrong_shape_are_refused():
    with pytest.raises(BaseFunctionError, match="expected scores"):
        SmoothedClassifier(lambda batch: batch[:, None], NOISE).certify(torch.zeros(3), n=1000)


def test_two_sided_radius_is_no_smaller():
    assert NOISE.radius(0.6, 0.1) == pytest.approx(SIGMA / 2 * (norm.ppf(0.6) - norm.ppf(0.1)))
    assert NOISE.radius(0.6, 0.4) == pytest.approx(NOISE.radius(0.6))
    assert NOISE.radius(0.5) == NOISE.radius(0.2) == NOISE.radius(0.2, 0.3) == 0.0


@pytest.mark.parametrize("radius", [0.05, 0.3])
def test_the_attack_stays_in_its_ball_and_goes_the_worst_way(radius):
    f = Linear(torch.tensor([3.0, 4.0])).eval()
    x = torch.tensor([0.6, 0.8]) * 0.4
    found = projected_gradient_ascent(f, NOISE, x, 1, radius, steps=20, step_size=0.1, samples=200)
    assert radius * 0.99 <= float((found - x).norm()) <= radius
    assert torch.allclose(found - x, -radius * torch.tensor([0.6, 0.8]), atol=0.02 * radius)


@pytest.mark.parametrize("radius", [1e-6, 1e-4, 0.01, 0.3, 5.0])
def test_the_attack_stays_in_its_ball_after_rounding(radius):
    """At pixels in 0..255, float32 numbers are 1.5e-5 apart, so rounding alone leads out of a small ball."""
    for seed in range(20):
        random = torch.Generator().manual_seed(seed)
        x, step = 255 * torch.rand(3, 16, 16, generator=random), torch.randn(3, 16, 16, generator=random)
        found = inside(x, step * radius / step.norm(), radius)
        assert float((found.double() - x.double()).norm()) <= radius
        assert radius < 0.01 or not torch.equal(found, x)


def test_no_adversarial_example_within_the_certified_radius_of_a_network():
    torch.manual_seed(0)
    f = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 3)).eval()
    g = SmoothedClassifier(f, NOISE)
    broken_outside = tried = 0
    for example in range(12):
        x = torch.randn(4)
        c = g.certify(x, n=2000, example=example)
        if c.status != "certified":
            continue
        tried += 1
        for factor in (1.0, 2.5):
            found = projected_gradient_ascent(
                f, NOISE, x, c.prediction, factor * c.radius, samples=100, step_size=0.2 * c.radius, example=example
            )
            p = g.predict(found, n=2000, example=example)
            assert factor > 1 or p.prediction in (c.prediction, ABSTAIN)
            broken_outside += factor > 1 and p.prediction not in (c.prediction, ABSTAIN)
    assert tried >= 5
    assert broken_outside > 0  # the attack is no straw man


def test_attack_arguments():
    with pytest.raises(SettingError, match="radius"):
        projected_gradient_ascent(Linear(torch.ones(1)), NOISE, torch.zeros(1), 0, 0.0)


def test_predict_draws_none_of_certifys_samples():
    seen = []
    g = SmoothedClassifier(lambda b: seen.append(b.clone()) or torch.cat([b, -b], dim=1), Gaussian(0.5), batch_size=50)
    g.certify(torch.tensor([0.4]), n0=100, n=200)
    g.predict(torch.tensor([0.4]), n=200)
    drawn = torch.cat([batch for batch in seen if len(batch) == 50])
    assert len(drawn.unique(dim=0)) == len(drawn) == 500
