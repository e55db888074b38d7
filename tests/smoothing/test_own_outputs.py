"""Outputs and metrics of a user that would make a certificate false, each refused in one line."""

import pytest
import torch
from torch import nn

from smoothing import (
    L2,
    BaseFunctionError,
    CenterSmoothing,
    Gaussian,
    MedianSmoothing,
    Metric,
    SegmentSmoothing,
    SettingError,
    SmoothedClassifier,
)

NOISE = Gaussian(sigma=0.2)
X = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("offset", "accepted"), [(0, True), (2**53 - 1000, True), (2**53, False), (-(2**60), False)])
def test_integers_that_float64_does_not_distinguish(offset, accepted):
    def f(batch):
        return (batch.mean(dim=(2, 3)) * 100).round().long() + offset

    for h in (CenterSmoothing(f, NOISE, L2(), n=2000, m=1000, delta=0.1), MedianSmoothing(f, NOISE, n=1000)):
        if accepted:
            h.certify(X, 0.1)
        else:
            with pytest.raises(BaseFunctionError, match=r"expected integers below 2\^53"):
                h.certify(X, 0.1)


def metric(**members):
    def distance(self, a, b):
        return (a.double() - b.double()).flatten(1).norm(dim=1)

    return type("Own", (Metric,), {"_distance": distance, **members})()


@pytest.mark.parametrize("gamma", [float("nan"), float("inf"), "2", None, 0.5])
def test_a_gamma_that_is_no_constant_of_the_triangle_inequality(gamma):
    h = CenterSmoothing(lambda b: b.mean(dim=(2, 3)), NOISE, metric(gamma=gamma), n=2000, m=1000, delta=0.1)
    with pytest.raises(SettingError, match=r"metric: Own\(\).gamma: expected a number of at least 1"):
        h.certify(X, 0.1)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-4, 1e-6])
def test_small_outputs_do_not_hide_that_a_metric_is_none(scale):
    def squared(self, a, b):
        return (a.double() - b.double()).flatten(1).norm(dim=1) ** 2

    h = CenterSmoothing(
        lambda b: scale * b.mean(dim=(2, 3)), NOISE, metric(_distance=squared), n=2000, m=1000, delta=0.1
    )
    with pytest.raises(SettingError, match="set a larger gamma"):
        h.certify(X, 0.1)


@pytest.mark.parametrize("beta", [0.0, 0.5, float("nan")])
def test_a_beta_below_that_of_the_best_center(beta):
    own = metric(beta=lambda self, output: beta)
    h = CenterSmoothing(lambda b: b.mean(dim=(2, 3)), NOISE, own, n=2000, m=1000, delta=0.1)
    with pytest.raises(SettingError, match=r"Own\(\).beta: expected a number of at least 1"):
        h.certify(X, 0.1)


@pytest.mark.parametrize("errors", [(float("nan"), 0.0), (0.0, float("nan")), (-1e-9, 0.0), (0.0, -1.0), (1.0, 0.0)])
def test_rounding_errors_that_are_no_bounds(errors):
    own = metric(rounding=lambda self, center, dtype: errors)
    h = CenterSmoothing(lambda b: b.mean(dim=(2, 3)), NOISE, own, n=2000, m=1000, delta=0.1)
    with pytest.raises(SettingError, match=r"Own\(\).rounding: expected a relative error"):
        h.certify(X, 0.1)


@pytest.mark.parametrize(
    ("empty", "error"),
    [
        (lambda self, outputs: outputs > 1, r"Own\(\).empty: expected one bool for each output, .*shape \(1, 3\)"),
        (lambda self, outputs: False, r"Own\(\).empty: expected one bool for each output, .*got bool"),
        (lambda self, outputs: 1 / 0, r"metric: ZeroDivisionError: division by zero \(.*test_own_outputs\.py"),
    ],
)
def test_an_empty_that_gives_no_bool(empty, error):
    h = CenterSmoothing(lambda b: b.mean(dim=(2, 3)), NOISE, metric(empty=empty), n=2000, m=1000, delta=0.1)
    with pytest.raises((SettingError, BaseFunctionError), match=error):
        h.certify(X, 0.1)


def test_label_maps_are_not_read_as_scores():
    def labels(batch):
        return (batch.mean(dim=1) > 0.5).long() * 2  # (b, height, width)

    with pytest.raises(BaseFunctionError, match=r"may be classes \(b, height, width\)"):
        SegmentSmoothing(labels, NOISE, n=500).certify(X, 0.05)
    maps = SegmentSmoothing(lambda batch: labels(batch)[:, None], NOISE, n=500).certify(X, 0.05)
    assert maps.classes.shape == (4, 4)


def test_class_numbers_get_the_advice_for_class_numbers():
    said = r"of at least two classes, got one number for each input; .*, for class numbers their one_hot"
    with pytest.raises(BaseFunctionError, match=said):
        SmoothedClassifier(lambda batch: batch.flatten(1).argmax(dim=1), NOISE).certify(X)


@pytest.mark.parametrize("target", [torch.zeros(4, 4), {"boxes": torch.zeros(1, 4)}, torch.zeros(4), 3])
def test_examples_may_have_any_target(target):
    h = CenterSmoothing(lambda b: b.mean(dim=(2, 3)), NOISE, L2(), n=2000, m=1000, delta=0.1)
    assert [c.status for _, c in h.certify_all([(X, target)] * 2, eps=0.1)] == ["certified"] * 2


class Seeded(nn.Module):
    """Adds the same random numbers to each batch, so a row's output depends on its position."""

    def forward(self, batch):
        rows = torch.randn(batch.shape, generator=torch.Generator().manual_seed(1))
        score = (batch + 4 * rows).flatten(1).mean(dim=1, keepdim=True)
        return torch.cat([-score, score], dim=1)


@pytest.mark.parametrize("batch_size", [2, 3, 32, 128])
def test_a_function_of_the_position_in_the_batch(batch_size):
    with pytest.raises(BaseFunctionError, match="depend on the batch"):
        SmoothedClassifier(Seeded(), NOISE, batch_size=batch_size).certify(X, n=1000)
