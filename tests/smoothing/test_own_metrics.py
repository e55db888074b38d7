"""A metric and its outputs: those that it cannot compare, what a subclass inherits, its candidates, empty ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smoothing import (
    L2,
    Angular,
    CenterDraws,
    CenterSettings,
    CenterSmoothing,
    DeterministicSplitting,
    Gaussian,
    Jaccard,
    SettingError,
    TotalVariation,
    certificate,
)
from smoothing.exact_center import exact_center_certificate
from smoothing.medoid import best_center

X = torch.rand(16, generator=torch.Generator().manual_seed(0))
W = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))


def certified(metric, certifier=CenterSmoothing):
    return certifier(lambda b: b @ W, Gaussian(0.25), metric, n=1000, m=1000, delta=0.15).certify(X, 0.1)


@pytest.mark.parametrize("metric", [L2(), Angular(), TotalVariation(), Jaccard()])
def test_outputs_that_are_none_are_refused_in_one_line(metric):
    real = torch.rand(5, 4)
    cases = [
        (torch.complex(real, real), "complex"),
        (torch.rand(5), r"expected outputs \(n, \*shape\)"),
        (torch.rand(5, 0), r"with at least one number each, got \(5, 0\)"),
        (real.numpy(), "expected tensors of outputs, got ndarray"),
    ]
    for outputs, message in cases:
        for distances in (metric, metric.pairwise):
            with pytest.raises(SettingError, match=message) as error:
                distances(outputs, outputs)
            assert "\n" not in str(error.value)
    with pytest.raises(SettingError, match="5 outputs and 3 to compare them with"):
        metric(real, real[:3])
    with pytest.raises(SettingError, match="different devices"):
        metric(real, real.to("meta"))


@pytest.mark.parametrize("f", [lambda b: torch.complex(b[:, :1] * 0, (b @ W)[:, :1])])
@pytest.mark.parametrize("metric", [L2(), Angular(), TotalVariation()])
def test_complex_outputs_are_not_certified(f, metric):
    with pytest.raises(ValueError, match="complex"):
        CenterSmoothing(f, Gaussian(0.25), metric, n=1000, m=1000, delta=0.15).certify(X, 0.1)


@pytest.mark.parametrize("shape", [(2, 4), (1, 4), (5,), (3,), (4, 1), (1,)])
def test_jaccard_is_of_boxes(shape):
    outputs = torch.rand(6, *shape)
    for use in (Jaccard(), Jaccard().pairwise, lambda a, b: best_center(a, Jaccard()), lambda a, b: Jaccard().empty(a)):
        with pytest.raises(SettingError, match=r"Jaccard needs boxes \(x1, y1, x2, y2\)"):
            use(outputs, outputs)


def test_total_variation_needs_two_pixels():
    for shape in ((1, 1, 1), (3, 1, 1)):
        for use in (TotalVariation(), TotalVariation().pairwise, lambda a, b: best_center(a, TotalVariation())):
            with pytest.raises(SettingError, match="TotalVariation needs two pixels or more"):
                use(torch.rand(6, *shape), torch.rand(6, *shape))
    assert TotalVariation()(torch.zeros(2, 1, 1, 2), torch.tensor([[[[0.0, 3]]]])).tolist() == [3, 3]


# Shortcuts belong to the methods that they were proved for.


def test_beta_is_lost_with_whatever_it_rests_on():
    one = torch.zeros(1)
    assert L2().beta(one) == 1
    for method in ("_distance", "_all_distances", "__call__", "pairwise", "candidates", "screen"):
        changed = type("Changed", (L2,), {method: getattr(L2, method)})
        mixed = type("Mixed", (type("Mixin", (), {method: getattr(L2, method)}), L2), {})
        below = type("Below", (changed,), {})
        stated = type("Stated", (changed,), {"beta": lambda self, output: 1.5})
        assert changed().beta(one) == mixed().beta(one) == below().beta(one) == 2, method
        assert stated().beta(one) == type("Lower", (stated,), {})().beta(one) == 1.5
    assert type("Same", (L2,), {"__repr__": lambda self: "Same"})().beta(one) == 1
    assert type("Lower", (type("Same", (L2,), {}),), {})().beta(one) == 1


def test_screens_and_margins_are_lost_with_the_distance_and_kept_otherwise():
    outputs = torch.rand(5, 1)
    for method in ("_distance", "_all_distances", "__call__", "pairwise"):
        changed = type("Changed", (L2,), {method: getattr(L2, method)})(span=1)
        assert changed.screen(outputs) is None
        assert changed.largest_distance((1,)) == torch.inf
        assert changed.rounding(outputs[0], torch.float32)[1] > 0
    kept = type("Kept", (L2,), {"candidates": L2.candidates})(span=1)
    assert kept.screen(outputs) is not None
    assert kept.largest_distance((1,)) == 1
    assert kept.rounding(outputs[0], torch.float32)[1] == 0


def test_candidates_of_ones_own_are_certified_with_three_times_the_quantile():
    class First(L2):
        def candidates(self, outputs):
            return outputs[:0]

    f = lambda b: b[:, :1]  # noqa: E731
    for metric, factor in ((L2(), 2), (First(), 3)):
        c = CenterSmoothing(f, Gaussian(0.25), metric, n=1000, m=1000, delta=0.15).certify(X, 0.1)
        assert c.eps_out == pytest.approx(factor * c.distance_quantile)


# An output that says that nothing was found.


@pytest.mark.parametrize(
    ("box", "empty"), [([0, 0, 0, 0], True), ([5, 5, 4, 9], True), ([3, 3, 3, 9], True), ([1, 1, 2, 3], False)]
)
def test_a_center_of_no_area_is_marked(box, empty):
    center = torch.tensor(box, dtype=torch.float32)
    draws = CenterDraws(center, center, 0.0, 10_000, 10_000, np.zeros(1000), 0.0)
    sampled = certificate(draws, 0.1, Gaussian(0.5), Jaccard(), CenterSettings())
    noise = DeterministicSplitting(0.5, 255, (1,))
    exact = exact_center_certificate(replace(draws, distances=np.zeros(noise.steps)), 0.1, noise, Jaccard())
    assert sampled.status == exact.status == "certified"
    assert sampled.empty is exact.empty is empty
    assert not certificate(draws, 0.1, Gaussian(0.5), L2(), CenterSettings()).empty
    if empty:
        assert sampled.eps_out == exact.eps_out == 0  # exactly: no rounding errors between empty boxes


def test_an_image_without_a_face_is_marked():
    def no_face(batch):
        return torch.zeros(len(batch), 4)

    c = CenterSmoothing(no_face, Gaussian(0.25), Jaccard(), n=1000, m=1000, delta=0.15).certify(X, 0.1)
    assert (c.status, c.eps_out, c.empty) == ("certified", 0, True)
    assert not certified(L2()).empty
