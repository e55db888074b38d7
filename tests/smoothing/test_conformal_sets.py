"""Certifiers of conformal sets: what they count, coverage of a linear classifier at its worst perturbation, attacks."""

from itertools import product
from math import inf, nan

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from smoothing import (
    BaseFunctionError,
    ConformalAttack,
    ConformalSets,
    DeterministicSplitting,
    ExactConformalSets,
    Gaussian,
    SettingError,
    Uniform,
    exact_conformal,
)
from smoothing.class_scores import class_scores
from smoothing.conformal_guarantee import exact_needed
from smoothing.streams import Stage, Stream

SIGMA, ALPHA = 0.5, 0.2
NOISE = Gaussian(SIGMA)
SMALL = {"n": 100, "alpha": ALPHA, "beta": 0.02, "held_out": 49, "batch_size": 512}


def linear(x):
    return torch.stack([-x[:, 0], x[:, 0]], dim=1)


def examples(count, random):
    """Pairs of an input and its class, which is the sign of x_0 of 95 % of them."""
    x = 0.6 * torch.randn(count, 2, generator=random)
    right = torch.rand(count, generator=random) < 0.95
    return [(each, int((each[0] > 0) == bool(sure))) for each, sure in zip(x, right, strict=True)]


def test_coverage_at_the_worst_perturbation():
    """The worst x' of a linear classifier moves straight to the other class."""
    random, eps, missed, sizes = torch.Generator().manual_seed(0), 0.3, {0.0: 0, 0.3: 0}, []
    for seed in range(20):
        g = ConformalSets(linear, NOISE, **SMALL, seed=seed)
        g.calibrate_on(examples(49, random))
        for x, label in examples(20, random):
            worst = x - torch.tensor([eps * (2 * label - 1), 0.0])
            without, found = g.certify(worst, [0.0, eps])
            missed[0.0] += str(label) not in without.classes.split()
            missed[eps] += str(label) not in found.classes.split()
            sizes.append(found.size)
    assert binomtest(missed[eps], 400, ALPHA, alternative="greater").pvalue > 0.01
    assert binomtest(missed[0.0], 400, ALPHA, alternative="greater").pvalue < 1e-3  # for the unperturbed x only
    assert 1 < np.mean(sizes) < 1.9


def test_counts_and_t_are_those_of_the_scores():
    g = ConformalSets(linear, NOISE, **SMALL)
    x, label = torch.tensor([0.2, 0.0]), 0  # not the class that f predicts
    source = [Stream(0, 3, Stage.ESTIMATION).block(k, x.device) for k in range(2)]
    scores = linear(torch.cat([NOISE.sample(x, 64, each) for each in source])[:100]).double().softmax(dim=1)
    found = g.engine.run(g.calibrating(x, 3, label))
    assert found.score == sorted(scores[:, label].tolist(), reverse=True)[69]
    g.calibrate([{"score": 0.6}] * 49)
    (row,) = g.statements(g.engine.run(g.procedure(x, 3, -1)), [0.1])
    assert row.counts == " ".join(str(int(count)) for count in (scores >= 0.6).sum(dim=0))


def test_a_score_at_the_threshold_counts():
    """A score that takes two values: T and tau are equal for most examples."""
    g = ConformalSets(lambda x: linear(x).sign(), NOISE, **SMALL)
    tau = g.calibrate_on([(torch.tensor([5.0, 0.0]), 1)] * 49)
    assert tau == pytest.approx(1 / (1 + np.exp(-2)))
    assert g.certify(torch.tensor([5.0, 0.0]), 0.1).counts == "0 100"


def test_the_level_of_the_threshold_is_alpha_less_beta():
    g = ConformalSets(linear, NOISE, **SMALL)  # r = floor(0.18 * 50) = 9
    g.calibrate([{"score": k / 100} for k in range(49)])
    assert g.tau == 0.08
    exact = ExactConformalSets(linear, DeterministicSplitting(1.0, 4, (2,)), alpha=ALPHA, held_out=49)
    exact.calibrate([{"score": k / 100} for k in range(49)])
    assert exact.tau == 0.09


def misses_of_exact_sets():
    """Among all pairs of images of two pixels with 4 levels and several tau: how many classes reach tau at x and are
    not in the set of an x' within eps; and how many sets lack a class."""
    noise, levels = DeterministicSplitting(0.7, 3, (2,)), 3
    table = torch.rand(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def f(batch):  # any function of the noisy image
        return table[((batch * 37.3).sum(dim=1) * 100).long() % 100]

    g = ExactConformalSets(f, noise, p=0.6, alpha=0.5, held_out=9)
    images = [torch.tensor(each) / levels for each in product(range(levels + 1), repeat=2)]
    scores = [[g.engine.run(g.calibrating(x, 0, y)).score for y in range(3)] for x in images]
    missed = lacking = 0
    for tau in np.unique(scores)[::3]:
        g.calibrate([{"score": tau}] * 9)
        for steps in (0, 1, 2):
            sets = [g.certify(x, steps / levels).classes.split() for x in images]
            for x, own in zip(images, scores, strict=True):
                for x2, found in zip(images, sets, strict=True):
                    if (x - x2).abs().sum() <= steps / levels + 1e-6:
                        missed += sum(str(y) not in found for y in range(3) if own[y] >= tau)
                        lacking += len(found) < 3
    return missed, lacking


def test_exact_sets_hold_what_is_sure_for_every_perturbation(monkeypatch):
    missed, lacking = misses_of_exact_sets()
    assert missed == 0
    assert lacking > 50
    planted = lambda j, eps, noise: max(1, exact_needed(j, eps, noise) + 1)  # noqa: E731 - a grid step is forgotten
    monkeypatch.setattr(exact_conformal, "exact_needed", planted)
    assert misses_of_exact_sets()[0] > 0


def test_scores():
    logits = torch.tensor([[1.0, 3.0, 2.0], [nan, 1.0, 2.0], [inf, 0.0, 1.0], [-inf, 0.0, 0.0]])
    found = class_scores(logits, "probability")
    assert torch.allclose(found[0], logits[0].double().softmax(dim=0))
    assert found[1:3].eq(-inf).all()
    assert found[3].tolist() == [0.0, 0.5, 0.5]
    p = found[0]
    assert torch.allclose(class_scores(logits, "cumulative")[0], -torch.tensor([p[1] + p[2], 0.0, p[1]]).double())
    with pytest.raises(BaseFunctionError, match=r"at least 4 classes, got \(4, 3\)"):
        class_scores(logits, "probability", 4)


def test_outputs_that_are_no_numbers_reach_no_threshold():
    g = ConformalSets(lambda x: linear(x).where(x[:, :1] > 0, nan), NOISE, **SMALL)
    g.calibrate([{"score": 0.0}] * 49)
    counts = [int(each) for each in g.certify(torch.zeros(2), 0.1).counts.split()]
    assert counts[0] == counts[1] < 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": 4}, "certifier.held_out: 4 calibration examples .* at least 5 are needed"),
        ({"beta": 0.3}, "certifier.beta: expected less than certifier.alpha=0.2, got 0.3"),
        ({"p": 1.0}, "certifier.p: expected a probability strictly between 0 and 1"),
        ({"score": "margin"}, "certifier.score: expected one of probability, cumulative, got margin"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        ConformalSets(linear, NOISE, **SMALL | options)


def test_a_radius_at_which_every_class_is_in_every_set_is_refused():
    g = ConformalSets(linear, NOISE, **SMALL)
    with pytest.raises(SettingError, match=r"eps: every class would be in every set at eps=2 under Gaussian"):
        g.cases([0.1, 2.0])
    with pytest.raises(SettingError, match="calibrate it before it is used"):
        g.certify(torch.zeros(2), 0.1)
    with pytest.raises(SettingError, match=r"got Uniform.* against l1"):
        ConformalAttack(linear, Uniform(0.5), radii=[0.1], **SMALL)


def test_an_attack_takes_the_class_out_of_ordinary_sets_first():
    random = torch.Generator().manual_seed(1)
    g = ConformalAttack(linear, NOISE, radii=[0.0, 0.5], **SMALL, copies=64)
    rows = [vars(g.engine.run(g.calibrating(x, 1000 + k, label))) for k, (x, label) in enumerate(examples(49, random))]
    g.calibrate(rows)
    base = sorted(row["base_score"] for row in rows)
    assert (g.smoothed_tau, g.base_tau) == (sorted(row["score"] for row in rows)[9], base[9])  # r = 0.2 * 50
    found = [g.engine.run(g.procedure(x, k, label)) for k, (x, label) in enumerate(examples(60, random))]
    held = {name: [np.mean([getattr(each[k], name) for each in found]) for k in (0, 1)] for name in ("robust", "base")}
    held["smoothed"] = [np.mean([each[k].smoothed for each in found]) for k in (0, 1)]
    assert held["robust"][1] >= 1 - ALPHA - 0.1
    assert max(held["smoothed"][1], held["base"][1]) < held["robust"][1] - 0.1
    assert held["base"][0] > held["base"][1]
    assert found[0][1].eps_in == 0.5


def test_an_attack_is_calibrated_on_pairs_of_a_users():
    g = ConformalAttack(linear, NOISE, radii=[0.0, 0.5], **SMALL, copies=64)
    g.calibrate_on(examples(49, torch.Generator().manual_seed(1)))
    assert 0 < g.tau < g.smoothed_tau < g.base_tau < 1
