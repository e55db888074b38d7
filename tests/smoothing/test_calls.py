"""Call after call: fresh samples each time, the same again on demand, and all examples of a data set."""

import json
import sys
import warnings
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from smoothing import (
    L2,
    Adaptive,
    Attack,
    BaseFunctionError,
    CenterSmoothing,
    CenterSmoothingHD,
    Certify,
    DeterministicSplitting,
    ExactCenterSmoothing,
    ExactCertify,
    ExactMedianSmoothing,
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    SegmentSmoothing,
    SettingError,
    SmoothedClassifier,
)
from smoothing.cursor import noisy_inputs
from smoothing.streams import Stage, Stream

NOISE = Gaussian(0.5)
XS = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))


def scores(batch):
    return torch.stack([batch.sum(dim=1), 1.5 * torch.ones(len(batch))], dim=1)


def centers(f=lambda b: b, **settings):
    return CenterSmoothing(f, NOISE, L2(), **{"n": 400, "m": 300, "delta": 0.2} | settings)


def spied():
    """A classifier, and the noise of each of its calls (at x = 0)."""
    seen = []
    return seen, lambda b: seen.append(b.clone()) or torch.cat([b, -b], dim=1)


def test_no_two_calls_share_a_sample():
    seen, f = spied()
    g, x = SmoothedClassifier(f, NOISE, batch_size=50), torch.zeros(1)
    g.certify(x, n0=100, n=200)
    g.certify(x, n0=100, n=200)
    g.predict(x, n=200)
    g.predict(x, n=200)
    dict(g.certify_all([x, x], n0=100, n=200))
    drawn = torch.cat([batch for batch in seen if len(batch) == 50])  # not the probe's few
    assert len(drawn) == 4 * 300 + 2 * 200
    assert len(drawn.unique(dim=0)) == len(drawn)


def test_x_and_another_x_get_fresh_samples():
    """As the theorem has it: f_hat(x') is made of draws of its own."""
    h = centers()
    first, second = h.smooth(torch.zeros(2)), h.smooth(torch.zeros(2))
    assert not torch.equal(first.center, second.center)
    assert torch.equal(h.smooth(torch.zeros(2), example=0).center, first.center)
    assert torch.equal(h.smooth(torch.zeros(2), example=1).center, second.center)
    draws = [h.draw(torch.zeros(2)).distances for _ in range(2)]
    assert not np.array_equal(*draws)


def test_the_same_calls_in_the_same_order_give_the_same_results():
    runs = []
    for _ in range(2):
        g, h = SmoothedClassifier(scores, NOISE), centers()
        runs.append([g.certify(XS[0], n=500), g.predict(XS[1]), g.certify(XS[0], n=500)])
        runs[-1] += [h.certify(XS[0], 0.1).eps_out, h.certify(XS[0], 0.1).eps_out, g.next_example, h.next_example]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][2]
    assert runs[0][-2:] == [3, 2]


def test_a_number_that_was_used_is_not_given_out():
    g = SmoothedClassifier(scores, NOISE)
    g.certify(XS[0], n=100, example=4)
    assert g.next_example == 5
    g.certify(XS[0], n=100)
    g.certify(XS[0], n=100, example=2)
    assert g.next_example == 6


@pytest.mark.parametrize("batch_size", [16, 128, 1000])
def test_many_examples_are_certified_as_one_by_one(batch_size):
    g = SmoothedClassifier(scores, NOISE, batch_size=batch_size)
    found = list(g.certify_all(XS, n=500))
    assert [k for k, _ in found] == list(range(7))
    assert [c for _, c in found] == [
        SmoothedClassifier(scores, NOISE).certify(x, n=500, example=k) for k, x in enumerate(XS)
    ]
    again = list(g.certify_all(XS, n=500))
    assert [k for k, _ in again] == list(range(7, 14))
    assert [c for _, c in again] == [g.certify(x, n=500, example=7 + k) for k, x in enumerate(XS)]
    assert list(g.certify_all(XS, n=500, first=0)) == found


@pytest.mark.parametrize("eps", [0.1, [0.1, 0.2]])
@pytest.mark.parametrize("make", [CenterSmoothing, CenterSmoothingHD])
def test_many_outputs_are_certified_as_one_by_one(make, eps):
    h = make(lambda b: b, NOISE, L2(), n=400, m=300, delta=0.2)
    for k, found in h.certify_all(XS[:3], eps):
        alone = h.certify(XS[k], eps, example=k)
        pairs = zip(found, alone, strict=True) if isinstance(eps, list) else [(found, alone)]
        assert all((a.eps_in, a.eps_out, a.status) == (b.eps_in, b.eps_out, b.status) for a, b in pairs)


def test_results_before_an_input_that_is_none_are_given():
    """Several procedures begin at once: those before the error too."""
    g = SmoothedClassifier(scores, NOISE, batch_size=4096)
    found = g.certify_all([*XS[:5], XS[5].to(torch.uint8)], n0=100, n=200)
    assert [next(found)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(SettingError, match="x: expected a floating-point tensor"):
        next(found)


EIGHTHS = DeterministicSplitting(sigma=0.5, levels=8, shape=(3,))


@pytest.mark.parametrize("eps", [0.125, [0.125, 0.25]])
@pytest.mark.parametrize(
    "h",
    [
        MedianSmoothing(lambda b: b, NOISE, n=400),
        MeanSmoothing(lambda b: b.clamp(0, 1), NOISE, n=400, low=0, high=1),
        SegmentSmoothing(lambda b: b[:, None] > 0.5, NOISE, n=400),
        ExactCenterSmoothing(lambda b: b, EIGHTHS, L2()),
        ExactMedianSmoothing(lambda b: b, EIGHTHS),
    ],
    ids=lambda h: type(h).__name__,
)
def test_every_certifier_with_draws_certifies_many(h, eps):
    xs = (8 * XS[:3]).round() / 8
    for k, found in h.certify_all(xs, eps, first=5):
        alone = h.certify(xs[k - 5], eps, example=k)
        assert isinstance(found, list) == isinstance(eps, list)
        assert repr(found) == repr(alone)
    assert k == 7
    assert repr(h.read(h.draw(xs[0], example=5), 0.125)) == repr(h.certify(xs[0], 0.125, example=5))


def test_certificates_come_as_they_are_made_and_a_call_between_takes_other_samples():
    seen, f = spied()
    g = SmoothedClassifier(f, NOISE, batch_size=50)
    numbers = []
    for k, _ in g.certify_all([torch.zeros(1)] * 3, n0=100, n=200):
        numbers.append(k)
        g.certify(torch.zeros(1), n0=100, n=200)
    assert len(numbers) == 3
    drawn = torch.cat([batch for batch in seen if len(batch) == 50])
    assert len(drawn.unique(dim=0)) == len(drawn) == 6 * 300


def test_a_bar_is_shown_on_demand(capsys):
    g = SmoothedClassifier(scores, NOISE)
    assert len(list(g.certify_all(XS, n=200))) == 7
    assert capsys.readouterr().err == ""
    assert len(list(g.certify_all(XS, n=200, progress=True))) == 7
    assert "7/7" in capsys.readouterr().err
    assert len(list(g.certify_all((x for x in XS), n=200, progress=True))) == 7


def test_a_bar_without_tqdm_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    g = SmoothedClassifier(lambda b: b, Gaussian(0.25))
    with pytest.raises(SettingError, match="progress: the bar needs the package tqdm"):
        list(g.certify_all(torch.zeros(2, 3), n=200, progress=True))


def test_settings_are_checked_before_the_first_example_is_asked_for():
    g = SmoothedClassifier(scores, NOISE)
    with pytest.raises(SettingError, match="can never certify"):
        g.certify_all(XS, n=5)
    with pytest.raises(SettingError, match="examples: expected"):
        g.certify_all(None)


def test_an_example_that_is_none_stops_there_after_those_before():
    found = SmoothedClassifier(scores, NOISE).certify_all([XS[0], XS[1], XS[2].to(torch.uint8)], n=2000)
    assert [next(found)[0], next(found)[0]] == [0, 1]
    with pytest.raises(SettingError, match="divide bytes by 255"):
        next(found)


def strict(value):
    """What strict JSON makes of it."""
    return json.loads(json.dumps(value, allow_nan=False))


def certificates():
    broken = SmoothedClassifier(lambda b: torch.full((len(b), 2), torch.nan), NOISE)
    dssn = DeterministicSplitting(0.5, 5, (3,))
    x = torch.tensor([0.2, 0.4, 0.6])
    g, h = SmoothedClassifier(scores, NOISE), centers()
    yield g.certify(XS[0], n=500)
    yield g.predict(XS[0])
    yield broken.certify(XS[0], n=500)
    yield broken.predict(XS[0])
    yield g.certify(XS[0], n=500, stop_unless=7)
    yield Adaptive(scores, NOISE, n=5000, radius=0.1)(XS[0], 0, 0)
    yield from Attack(scores, NOISE, factors=[1.0, 2.0], n=500, steps=2, samples=64)(XS[0] + 1, 0, 0)
    yield ExactCertify(scores, dssn)(x, 0, 0)
    yield ExactCertify(lambda b: torch.full((len(b), 2), torch.nan), dssn)(x, 0, 0)
    yield h.certify(XS[0], 0.1)
    yield h.certify(XS[0], 100.0)
    yield centers(lambda b: b * torch.nan).certify(XS[0], 0.1)
    yield centers(lambda b: torch.where(b > 0.6, torch.inf, b), delta=0.45).certify(XS[0] * 0, 0.1)
    yield h.smooth(XS[0])
    yield h.draw(XS[0])
    yield centers(lambda b: b.bfloat16()).draw(XS[0])
    yield ExactCenterSmoothing(lambda b: b, dssn, L2()).certify(x, 0.2)
    yield ExactCenterSmoothing(lambda b: b, dssn, L2()).certify(x, 9.0)


def test_every_certificate_is_strict_json():
    kinds = set()
    for c in certificates():
        kinds.add(type(c).__name__)
        plain = c.as_dict()
        assert strict(plain) == plain
        assert list(plain) == [f.name for f in fields(c) if f.name != "origin"]
        for name, value in plain.items():
            original = getattr(c, name)
            if isinstance(original, float):
                assert float(value) == original or original != original
            elif isinstance(original, torch.Tensor | np.ndarray):
                found = torch.tensor([float(v) for v in value])
                assert torch.equal(found, torch.as_tensor(original).float()) or bool(found.isnan().any())
            else:
                assert value == original
    assert len(kinds) == 8


def test_what_is_not_certified_is_no_null_in_json():
    c = centers().certify(XS[0], 100.0)
    assert (c.status, c.as_dict()["eps_out"]) == ("failed", "inf")


def one_column(b):
    return b.sum(dim=1, keepdim=True)


@pytest.mark.parametrize(
    "outputs", [one_column, lambda b: b[:, :, None].expand(-1, 3, 2), lambda b: torch.complex(b, b)]
)
def test_what_is_no_classifier_is_refused(outputs):
    dssn = DeterministicSplitting(0.5, 5, (3,))
    x = torch.tensor([0.2, 0.4, 0.6])
    for use in (
        lambda: SmoothedClassifier(outputs, NOISE).certify(x),
        lambda: SmoothedClassifier(outputs, NOISE).certify(x, stop_unless=0),
        lambda: SmoothedClassifier(outputs, NOISE).predict(x),
        lambda: SmoothedClassifier(outputs, dssn).certify_exactly(x),
        lambda: Adaptive(outputs, NOISE, radius=0.1)(x, 0, 0),
        lambda: Certify(outputs, NOISE)(x, 0, 0),
        lambda: ExactCertify(outputs, dssn)(x, 0, 0),
        lambda: Attack(outputs, NOISE, factors=[1.0])(x, 0, 0),
    ):
        with pytest.raises(BaseFunctionError, match="base") as error:
            use()
        assert "\n" not in str(error.value)


def test_one_column_is_told_what_to_answer():
    with pytest.raises(
        BaseFunctionError,
        match=r"at least two classes, got one number for each input; .*torch.stack\(\[-z, z\], dim=1\)",
    ):
        SmoothedClassifier(nn.Linear(3, 1), NOISE).certify(XS[0])


def test_fewer_scores_than_classes_are_refused_and_more_are_warned_of():
    for make in (SmoothedClassifier, Certify):
        for classes, n in ((3, 1000), (10, 1000)):
            g = make(scores, NOISE, num_classes=classes)
            with pytest.raises(
                BaseFunctionError, match=rf"expected scores of {classes} classes, \(b, {classes}\), got"
            ):
                g.certify(XS[0], n=n) if make is SmoothedClassifier else g(XS[0], 0, 0)
    five = SmoothedClassifier(lambda b: torch.cat([b, b[:, :2]], dim=1), NOISE, num_classes=3)
    with pytest.warns(UserWarning, match="it has 5 scores and there are 3 classes"):
        five.certify(XS[0], n=500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        five.predict(XS[0])  # warned of once
    assert SmoothedClassifier(scores, NOISE, num_classes=2).certify(XS[0], n=500).n == 500
    with pytest.raises(SettingError, match="num_classes: expected at least 2"):
        SmoothedClassifier(scores, NOISE, num_classes=1)


@pytest.mark.parametrize("make", [CenterSmoothing, CenterSmoothingHD])
def test_the_fresh_check_counts_the_ball_itself(make):
    """Not one that is 2 % larger, or smaller: some of 4000 outputs lie between them."""
    n, x = 4000, torch.zeros(2)
    h = make(lambda b: b, NOISE, L2(), n=n, m=10, delta=0.2)
    found = h.smooth(x, example=3)
    fresh = torch.cat(list(noisy_inputs(x, NOISE, n, Stream(0, 3, Stage.FRESH_CHECK), 500))).double()
    distances = (fresh - found.center.double()).norm(dim=1)
    counts = [int((distances <= factor * found.center_radius).sum()) for factor in (0.98, 1.0, 1.02)]
    assert counts[0] < found.inside == counts[1] < counts[2]


def test_a_smoothed_function_shows_its_base_function_and_its_noise():
    assert repr(SmoothedClassifier(torch.nn.Linear(3, 2), Gaussian(0.5))) == (
        "SmoothedClassifier(Linear, Gaussian(sigma=0.5))"
    )
