"""Mistakes of a caller: unambiguous arguments are accepted, and all others are refused in one clear line."""

from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from smoothing import (
    L2,
    Ablation,
    Adaptive,
    Attack,
    BandAblation,
    BlockAblation,
    CenterSmoothing,
    CenterSmoothingHD,
    Certify,
    DeterministicSplitting,
    ExactCenterSmoothing,
    ExactCertify,
    Gaussian,
    Predict,
    SettingError,
    SmoothedClassifier,
    SmoothingWarning,
    Splitting,
    Uniform,
)
from smoothing.arguments import input_radii, number, probability, several, whole_number

NOISE = Gaussian(0.5)
DSSN = DeterministicSplitting(0.5, 5, (3,))
X = torch.tensor([0.2, 0.4, 0.8])


def scores(batch):
    return torch.cat([batch, -batch], dim=1)


ALL = {
    "SmoothedClassifier": partial(SmoothedClassifier, scores, NOISE),
    "Certify": partial(Certify, scores, NOISE),
    "Predict": partial(Predict, scores, NOISE),
    "Adaptive": partial(Adaptive, scores, NOISE, radius=0.1),
    "Attack": partial(Attack, scores, NOISE, factors=[1.0]),
    "ExactCertify": partial(ExactCertify, scores, DSSN),
    "CenterSmoothing": partial(CenterSmoothing, scores, NOISE, L2(), n=2000, m=1000),
    "CenterSmoothingHD": partial(CenterSmoothingHD, scores, NOISE, L2(), n=2000, m=1000),
    "ExactCenterSmoothing": partial(ExactCenterSmoothing, scores, DSSN, L2()),
}


def made(name, f=scores, noise=None, metric=None, **settings):
    """An object of ALL, with another f, noise or metric."""
    parts = ALL[name]
    arguments = [f, parts.args[1] if noise is None else noise, *parts.args[2:]]
    if metric is not None:
        arguments[2] = metric
    return parts.func(*arguments, **parts.keywords | settings)


def refused(call, message):
    with pytest.raises(SettingError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("f", "message"),
    [
        (None, "f: expected a network or a function.*got None"),
        (nn.Linear, r"f: .*got the class Linear; pass Linear\(\.\.\.\)"),
        (nn.Linear(3, 2).state_dict(), "f: .*got OrderedDict; load weights with model.load_state_dict"),
        ("model.pt", "f: .*got 'model.pt'"),
        (torch.zeros(3, 2), r"f: .*got Tensor of shape \(3, 2\)"),
        (nn.Linear(3, 2, device="meta"), "f: .*meta device"),
    ],
)
def test_what_is_no_base_function(name, f, message):
    refused(lambda: made(name, f), message)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("noise", [Gaussian, L2(), 0.25, "gaussian"])
def test_what_is_no_noise(name, noise):
    exact = name.startswith("Exact")
    refused(
        lambda: made(name, noise=noise),
        "noise: .*too many noisy inputs" if exact else "noise: expected an instance of Noise",
    )


@pytest.mark.parametrize("name", [name for name in ALL if "Center" in name])
@pytest.mark.parametrize(
    ("metric", "found"), [(L2, "the class L2"), (NOISE, "Gaussian"), (torch.dist, "dist"), ("l2", "'l2'")]
)
def test_what_is_no_metric(name, metric, found):
    refused(
        lambda: made(name, metric=metric), rf"metric: expected an instance of Metric, such as L2\(\), got .*{found}"
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [0, -1, 1.5, "128", True, torch.tensor([1, 2]), float("nan")])
def test_batch_size(name, size):
    refused(lambda: made(name, batch_size=size), "batch_size: expected")


@pytest.mark.parametrize("name", [name for name in ALL if "Exact" not in name])
@pytest.mark.parametrize("seed", [-1, 0.5, None, "0", True])
def test_seed(name, seed):
    refused(lambda: made(name, seed=seed), "seed: expected")


@pytest.mark.parametrize("name", ["Certify", "Predict", "Adaptive", "Attack", "CenterSmoothing", "CenterSmoothingHD"])
@pytest.mark.parametrize("n", [0, -5, 2000.5, "2000", None, True, float("inf"), [2000]])
def test_numbers_of_samples(name, n):
    refused(lambda: made(name, n=n), "certifier.n: expected")


@pytest.mark.parametrize("n", [1e3, np.int64(1000), np.float32(1000), torch.tensor(1000), Fraction(1000)])
def test_what_is_a_whole_number(n):
    found = whole_number("certifier.n", n, 1)
    assert (found, type(found)) == (1000, int)
    c = SmoothedClassifier(scores, NOISE).certify(X, n=n)
    assert (c, type(c.n)) == (SmoothedClassifier(scores, NOISE).certify(X, n=1000), int)
    assert CenterSmoothing(scores, NOISE, L2(), n=n, m=n, delta=0.1).certify(X, 0.1).m == 1000


def test_a_whole_number_keeps_all_its_digits():
    assert whole_number("seed", 2**63 + 1) == 2**63 + 1


@pytest.mark.parametrize("name", ["Certify", "Predict", "Adaptive", "Attack"])
@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (5, r"alpha: expected a probability strictly between 0 and 1, got 5; 5 % is 0\.05"),
        (0.0, "alpha: expected a probability"),
        (-0.1, "alpha: expected a probability"),
        (float("nan"), "alpha: expected a probability"),
        ("5%", "alpha: expected a number, got '5%'"),
        (None, "alpha: expected a number, got None"),
        (torch.tensor([0.1, 0.2]), r"alpha: expected one number, got Tensor of shape \(2,\)"),
        (True, "alpha: expected a number, got True"),
        (0.001 + 0j, "alpha: expected a number"),
    ],
)
def test_levels_of_classifiers(name, alpha, message):
    refused(lambda: made(name, alpha=alpha), message)


@pytest.mark.parametrize("setting", ["delta", "alpha1", "alpha2"])
@pytest.mark.parametrize("value", [5, "0.1", None, float("nan"), torch.tensor([0.1, 0.2]), 0, 1])
def test_levels_of_centers(setting, value):
    refused(lambda: made("CenterSmoothing", **{setting: value}), f"certifier.{setting}: expected")


@pytest.mark.parametrize("name", ["sigma tensor", "array", "strange"])
@pytest.mark.parametrize(
    "noise", [Gaussian, Uniform, lambda s: Splitting(s, 5), lambda s: DeterministicSplitting(s, 5, (3,))]
)
def test_sigma(name, noise):
    if name == "strange":
        for sigma in ("0.5", None, True, [0.5], torch.full((3,), 0.5), np.ones((1, 1)), 0.5 + 0j):
            refused(partial(noise, sigma), "noise.sigma: expected")
        return
    found = noise(torch.tensor(0.5) if name == "sigma tensor" else np.array(0.5))
    assert (found.sigma, type(found.sigma), type(found.radius(0.9))) == (0.5, float, float)
    assert repr(found) == repr(noise(0.5))


@pytest.mark.parametrize(
    "eps",
    [
        [0.1, 0.25],
        (0.1, 0.25),
        np.array([0.1, 0.25]),
        torch.tensor([0.1, 0.25], dtype=torch.float64),
        (e for e in (0.1, 0.25)),
        iter([0.1, 0.25]),
        [np.float64(0.1), torch.tensor(0.25)],
    ],
)
def test_several_eps(eps):
    h = CenterSmoothing(scores, NOISE, L2(), n=400, m=300, delta=0.2)
    found, expected = h.certify(X, eps, example=1), h.certify(X, [0.1, 0.25], example=1)
    assert [c.eps_in for c in found] == [0.1, 0.25]
    assert [c.eps_out for c in found] == [c.eps_out for c in expected]
    assert {type(c.eps_in) for c in found} == {float}


@pytest.mark.parametrize("eps", [0.25, np.float64(0.25), np.array(0.25), torch.tensor(0.25), Fraction(1, 4)])
def test_one_eps(eps):
    assert not several(eps)
    c = CenterSmoothing(scores, NOISE, L2(), n=400, m=300, delta=0.2).certify(X, eps)
    assert (c.eps_in, type(c.eps_in)) == (0.25, float)
    exact = ExactCenterSmoothing(scores, DSSN, L2())
    assert exact.certify(X, eps).eps_in == exact.certify(X, [eps])[0].eps_in == 0.25


@pytest.mark.parametrize(
    "eps",
    [
        *(-0.1, float("nan"), float("inf"), "0.1", None, True, 0.1j, Decimal("0.1")),
        *([], [0.1, -0.1], [0.1, None], [[0.1]], {0.1, 0.2}, {0.1: 0}, ()),
        *(torch.tensor([[0.1]]), np.array([[0.1]])),
    ],
)
def test_what_is_no_eps(eps):
    calls = []
    f = lambda b: calls.append(0) or b  # noqa: E731
    refused(lambda: CenterSmoothing(f, NOISE, L2(), n=400, m=300, delta=0.2).certify(X, eps), "eps: expected")
    refused(lambda: CenterSmoothing(f, NOISE, L2(), n=400, m=300, delta=0.2).certify_all([X], eps), "eps: expected")
    refused(lambda: ExactCenterSmoothing(f, DSSN, L2()).certify(X, eps), "eps: expected")
    assert not calls


@pytest.mark.parametrize("example", [-1, 0.5, "0", True])
def test_what_is_no_example(example):
    refused(lambda: SmoothedClassifier(scores, NOISE).certify(X, example=example), "example: expected")
    refused(lambda: SmoothedClassifier(scores, NOISE).certify_all([X], first=example), "first: expected")


@pytest.mark.parametrize("radius", ["0.1", [0.1], -1, float("inf"), True])
def test_the_radius_to_decide_on(radius):
    refused(lambda: made("Adaptive", radius=radius), "certifier.radius: ")


def test_plain_numbers():
    assert number("a", np.float32(0.5)) == number("a", torch.tensor(0.5, requires_grad=True)) == 0.5
    assert probability("a", np.array(0.5)) == 0.5
    assert input_radii(range(3)) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", [Ablation, BandAblation, BlockAblation])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_shape_with_channels_last_gives_a_warning(kind, channels):
    said = rf"noise\.shape: .*is read as 8 channels of 9 x {channels} pixels; .* as \({channels}, 8, 9\)"
    with pytest.warns(SmoothingWarning, match=said) as found:
        kind(1, (8, 9, channels))
    assert len(found) == 1


def test_other_shapes_do_not(recwarn):
    for shape in [(3, 8, 8), (1, 28, 28), (4, 4, 4), (1, 1, 1), (3, 1, 3), (16, 8, 8), (1, 8, 3)]:
        for kind in (Ablation, BandAblation, BlockAblation):
            kind(1, shape)
    Ablation(1, (8, 3))
    assert not recwarn.list
