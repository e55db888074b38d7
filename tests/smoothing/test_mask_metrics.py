"""Jaccard distance of masks and Hamming distance: exact values, axioms, centers, and what is refused."""

from fractions import Fraction
from itertools import product

import pytest
import torch

from smoothing import CenterSmoothing, Gaussian, Hamming, MaskJaccard, SettingError

ALL = torch.tensor(list(product((0.0, 1.0), repeat=4)))  # every subset of four pixels
METRICS = [MaskJaccard(), Hamming()]


def exact(metric, a, b):
    a, b = ([bool(v) for v in each.flatten()] for each in (a, b))
    shared, either = (sum(map(op, zip(a, b, strict=True))) for op in (all, any))
    if isinstance(metric, Hamming):
        return Fraction(sum(x != y for x, y in zip(a, b, strict=True)), len(a))
    return 1 - Fraction(shared, either) if either else Fraction(0)


def random_masks(count, shape=(3, 5, 7)):
    shares = torch.rand(count, *[1] * len(shape))
    return (torch.rand(count, *shape) < shares).float()


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_distances_of_all_sets_of_four_pixels(metric):
    found = metric.pairwise(ALL, ALL)
    relative, absolute = metric.rounding(ALL[0], ALL.dtype)
    for i, j in product(range(16), repeat=2):
        true = exact(metric, ALL[i], ALL[j])
        assert abs(Fraction(float(found[i, j])) - true) <= Fraction(relative) * true + Fraction(absolute)
        assert (found[i, j] == 0) == (i == j)
        assert float(metric(ALL[i : i + 1], ALL[j : j + 1])) == found[i, j] == found[j, i]
        for k in range(16):
            assert true <= exact(metric, ALL[i], ALL[k]) + exact(metric, ALL[k], ALL[j])


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_rounding_holds_on_random_masks(metric):
    masks = random_masks(40)
    found, (relative, absolute) = metric.pairwise(masks, masks), metric.rounding(masks[0], masks.dtype)
    for i, j in product(range(40), repeat=2):
        true = exact(metric, masks[i], masks[j])
        assert abs(Fraction(float(found[i, j])) - true) <= Fraction(relative) * true + Fraction(absolute)


def test_numbers_by_hand():
    a, b = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]]), torch.tensor([[[0.0, 1.0], [1.0, 1.0]]])
    assert float(MaskJaccard()(a, b)) == 0.5
    assert float(Hamming()(a, b)) == 0.5
    assert MaskJaccard().empty(torch.stack([a[0] * 0, a[0]])).tolist() == [True, False]
    labels, others = torch.tensor([[0.0, 3.0, 7.0]]), torch.tensor([[0.0, 4.0, 7.5], [1.0, 0.0, 1.0]])
    assert Hamming()(labels, others[:1]).tolist() == pytest.approx([2 / 3])
    assert Hamming().pairwise(labels, others)[0].tolist() == pytest.approx([2 / 3, 1.0])


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_the_candidate_is_the_majority_of_each_pixel(metric):
    outputs = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [torch.nan, 0.0, 0.0]])
    assert metric.candidates(outputs).tolist() == [[1.0, 1.0, 0.0]]
    assert metric.candidates(outputs[3:]).shape == (0, 3)


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_outputs_that_are_not_finite_are_outside_every_ball(metric):
    outputs = torch.tensor([[1.0, torch.nan], [1.0, 0.0], [torch.inf, 0.0]])
    assert metric.pairwise(outputs, outputs).isinf().tolist() == [[True] * 3, [True, False, True], [True] * 3]


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0])
def test_other_numbers_than_0_and_1_are_no_masks(value):
    with pytest.raises(SettingError, match=rf"needs masks of 0 and 1, got {value:g}; threshold them in the model"):
        MaskJaccard()(torch.tensor([[0.0, value]]), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_a_threshold_of_the_image_is_certified(metric):
    def mask(images):
        return images > 0.5

    x = torch.tensor([0.0, 0.9, 1.0, 0.1])
    f_hat = CenterSmoothing(mask, Gaussian(0.1), metric, n=500, m=500, delta=0.2)
    found = f_hat.certify(x, eps=0.05)
    assert (found.status, found.center.tolist()) == ("certified", [0.0, 1.0, 1.0, 0.0])
    assert found.eps_out < 1
