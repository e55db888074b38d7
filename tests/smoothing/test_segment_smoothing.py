"""SegCertify: Holm's procedure, coverage under known laws, attacks on a linear segmentation, outputs of every kind."""

from math import inf, nan

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, norm
from statsmodels.stats.multitest import multipletests

from smoothing import BaseFunctionError, Gaussian, SegmentSmoothing, SettingError, Splitting, Uniform, segment_guarantee
from smoothing.segment_guarantee import SegmentDraws, holm, segment_certificate, threshold
from smoothing.segment_smoothing import position_classes, votes

SIGMA, EPS, N, ALPHA, REPETITIONS = 0.5, 0.25, 200, 0.05, 4000
NOISE = Gaussian(SIGMA)
JUST_BELOW = threshold(EPS, NOISE) - 1e-12


def test_holm_is_that_of_statsmodels():
    random = np.random.default_rng(0)
    for size in (1, 2, 5, 100):
        for scale in (1.0, 0.01, 1e-4):
            p_values = scale * random.random(size) ** 3
            expected = multipletests(p_values, 0.05, method="holm")[0]
            assert (holm(p_values, 0.05) == expected).all()
    assert holm(np.ones((2, 3)), 0.05).shape == (2, 3)


@pytest.mark.parametrize("noise", [NOISE, Gaussian(0.5, grid=255), Uniform(0.5), Splitting(0.5, 255)], ids=str)
def test_the_threshold_is_more_than_half_anywhere_within_eps(noise):
    for eps in (0.0, 0.1, 0.4):
        assert noise.shift(threshold(eps, noise), eps) >= 0.5 - 1e-9
        assert noise.radius(threshold(eps, noise)) == pytest.approx(eps, abs=1e-5)


def false_claims(probabilities):
    """In how many of many runs a claim is false: the probability of a certified class is below the true threshold."""
    random = np.random.default_rng(1)
    count = 0
    for _ in range(REPETITIONS):
        drawn = SegmentDraws(np.zeros(len(probabilities), int), random.binomial(N, probabilities), 100, N)
        claimed = segment_certificate(drawn, EPS, NOISE, ALPHA).classes == 0
        count += bool((claimed & (probabilities <= JUST_BELOW)).any())
    return count


def refuted(count):
    return binomtest(count, REPETITIONS, ALPHA, alternative="greater").pvalue < 1e-4


@pytest.mark.parametrize("others", [[], [0.999] * 60])
def test_claims_hold_together_as_often_as_they_say(others):
    """40 positions are just below tau. Some others are far above it, which Holm's procedure makes use of."""
    count = false_claims(np.array([JUST_BELOW] * 40 + others))
    assert not refuted(count)
    assert count > 0.05 * ALPHA * REPETITIONS


def test_a_single_position_uses_its_level():
    count = false_claims(np.array([JUST_BELOW]))
    assert not refuted(count)
    tail = binom.sf(np.arange(N), N, JUST_BELOW)
    assert count == pytest.approx(REPETITIONS * tail[tail <= ALPHA].max(), rel=0.25)


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("holm", lambda p_values, alpha: p_values <= alpha),  # not corrected for the number of positions
        ("threshold", lambda eps, noise: threshold(eps / 2, noise)),
    ],
)
def test_a_wrong_test_is_found(monkeypatch, name, planted):
    monkeypatch.setattr(segment_guarantee, name, planted)
    assert refuted(false_claims(np.array([JUST_BELOW] * 40)))


def test_no_attack_within_eps_changes_a_certified_class():
    """A linear segmentation: g(x) at position i is the sign of w_i x + b_i, so the exact radius is known."""
    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(30, 6, generator=random), 0.4 * torch.randn(30, generator=random)

    def f(x):
        scores = x @ weight.T + bias
        return torch.stack([-scores, scores], dim=1)  # (b, 2 classes, 30 positions)

    g = SegmentSmoothing(f, NOISE, n0=50, n=1000, alpha=0.01, batch_size=512)
    false, claims, shares = 0, 0, []
    for example in range(40):
        x = torch.randn(6, generator=random)
        for c in g.certify(x, [0.05, 0.4], example=example):
            margin = (x @ weight.T + bias) / weight.norm(dim=1)
            worst = (margin - margin.sign() * c.eps_in).numpy()  # at the worst x' of each position
            sure = c.classes != -1
            claims += sure.sum()
            false += bool((((worst > 0) != c.classes) & sure).any())
            shares.append(c.certified)
            assert c.certified == pytest.approx(sure.mean())
    assert false <= 2  # 80 statements at 1 %
    assert claims > 800
    assert np.mean(shares[0::2]) > np.mean(shares[1::2])


def test_scores_and_class_numbers_and_masks_are_the_same():
    scores = torch.rand(8, 5, 2, 3, generator=torch.Generator().manual_seed(0))
    classes = scores.argmax(dim=1)
    assert torch.equal(position_classes(scores), classes)
    assert torch.equal(position_classes(classes[:, None].double()), classes)
    counted = votes(scores)
    assert counted.shape == (6, 2, 3)
    for k in range(5):
        assert torch.equal(counted[k], (classes == k).sum(dim=0))
        assert torch.equal(votes(classes[:, None].double())[k], counted[k])


def test_a_position_without_a_class_counts_for_none():
    scores = torch.zeros(6, 2, 1)
    scores[:, 1] = 1
    scores[0, 0], scores[1, 1], scores[2], scores[3, 0] = nan, inf, -inf, -inf
    assert position_classes(scores)[:, 0].tolist() == [-1, -1, -1, 1, 1, 1]
    assert votes(scores)[:, 0].tolist() == [0, 3, 3]
    assert position_classes(torch.tensor([[[3.0, nan]]])).tolist() == [[3, -1]]
    drawn = SegmentDraws(np.array([-1]), np.array([N]), 10, N)
    assert segment_certificate(drawn, EPS, NOISE, ALPHA).status == "abstained"


def test_a_function_without_any_class_abstains():
    g = SegmentSmoothing(lambda x: torch.full((len(x), 1, 4), nan), NOISE, n=100)
    c = g.certify(torch.zeros(2), 0.1, example=0)
    assert (c.status, c.certified, c.failure_probability) == ("abstained", 0.0, 0.0)
    assert "at no position" in c.reason


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x, r"expected scores \(b, classes, \*positions\)"),
        (lambda x: x[:, None] * 0 + 0.5, "expected whole numbers from 0 to 255"),
        (lambda x: x[:, None] * 0 + 256, "expected whole numbers from 0 to 255"),
        (lambda x: x[:, None] * 0 - 1, "expected whole numbers from 0 to 255"),
    ],
)
def test_outputs_that_are_no_segmentation_are_refused(f, message):
    with pytest.raises(BaseFunctionError, match=message):
        SegmentSmoothing(f, NOISE, n=100).certify(torch.zeros(3), 0.1)


@pytest.mark.parametrize(
    ("given", "message"), [({"n": 0}, r"certifier\.n:"), ({"n0": 0}, r"certifier\.n0:"), ({"alpha": 1.0}, r"alpha")]
)
def test_settings_out_of_range(given, message):
    with pytest.raises(SettingError, match=message):
        SegmentSmoothing(lambda x: x, NOISE, **given)


def test_too_few_samples_are_refused_with_the_number_that_suffices():
    with pytest.raises(SettingError, match=r"100 samples can never certify eps=1 .* at least \d+ are") as caught:
        SegmentSmoothing(lambda x: x, NOISE, n=100).cases([0.1, 1.0])
    needed = int(str(caught.value).split("at least ")[1].split()[0])
    SegmentSmoothing(lambda x: x, NOISE, n=needed).cases([1.0])
    with pytest.raises(SettingError):
        SegmentSmoothing(lambda x: x, NOISE, n=needed - 1).cases([1.0])


def test_the_votes_are_those_of_the_noise():
    """The share of class 1 at each coordinate is the normal distribution's."""
    x = torch.tensor([-0.5, 0.0, 0.3])
    g = SegmentSmoothing(lambda x: x[:, None] > 0, NOISE, n0=100, n=20_000, batch_size=4096)
    drawn = g.engine.run(g.drawing(x, 5))
    of_one = np.where(drawn.classes == 1, drawn.counts, drawn.n - drawn.counts) / drawn.n
    assert of_one == pytest.approx(norm.cdf(x.numpy() / SIGMA), abs=0.015)


def test_classes_are_tested_on_fresh_samples():
    """Of two equally probable classes, the chosen one has fewer than half of the fresh votes half the time."""
    g = SegmentSmoothing(lambda x: x[:, None] > 0, NOISE, n0=65, n=65)
    drawn = g.engine.run(g.drawing(torch.zeros(400), 0))
    assert (drawn.counts < 32.5).mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    "mask", [lambda x: x[:, 0] > 0, lambda x: (x[:, 0] > 0).float(), lambda x: (3 * x[:, 0]).floor()]
)
def test_a_mask_is_not_read_as_scores_of_its_rows(mask):
    with pytest.raises(BaseFunctionError, match="may be classes"):
        SegmentSmoothing(mask, Gaussian(0.5), n=1000).certify(torch.randn(1, 4, 5), eps=0.1)


def test_one_hot_scores_of_positions_are_scores():
    def f(x):
        return torch.nn.functional.one_hot((x > 0).long(), 3).float().movedim(-1, 1)

    assert SegmentSmoothing(f, Gaussian(0.5), n=1000).certify(torch.ones(6), eps=0.1).classes.shape == (6,)
