"""Draws of another f, noise or metric are refused: they say nothing about a certifier's own function."""

import copy
import pickle
from dataclasses import replace
from functools import partial
from threading import Lock

import pytest
import torch
from torch import nn

import smoothing
from smoothing import (
    L2,
    Angular,
    BalancedCenterSmoothing,
    CenterSmoothing,
    CenterSmoothingHD,
    ConformalSets,
    DeterministicSplitting,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    ExactConformalSets,
    ExactMeanSmoothing,
    ExactMedianSmoothing,
    FeatureDistance,
    FiniteSpace,
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    Metric,
    Noise,
    SegmentSmoothing,
    SettingError,
    rechecked,
)
from smoothing.draws_certifier import DrawsCertifier
from smoothing.origin import Draws, Origin

X = torch.zeros(2)
CENTER = {"n": 200, "m": 200, "delta": 0.2}
BALANCED = {"n": 200, "m": 200, "q": 0.6, "rho": 1.0}
SETS = {"alpha": 0.5, "held_out": 9}
CASES = {
    CenterSmoothing: CENTER,
    CenterSmoothingHD: CENTER,
    BalancedCenterSmoothing: BALANCED,
    ExactCenterSmoothing: {},
    ExactBalancedCenterSmoothing: {"q": 0.6, "rho": 1.0},
    MedianSmoothing: {"n": 200},
    MeanSmoothing: {"n": 200, "low": -1, "high": 1},
    ExactMedianSmoothing: {},
    ExactMeanSmoothing: {"low": -1, "high": 1},
    SegmentSmoothing: {"n": 200},
    ConformalSets: {"n": 200, **SETS},
    ExactConformalSets: SETS,
}


def three_times(x):
    return 3 * x


def masks(x):
    return (x > 0.3)[:, None]


def sampled_or_exact(certifier, wide=False, seed=0):
    if certifier.__name__.startswith("Exact"):
        return DeterministicSplitting(1.0 if wide else 0.5, 8, (2,), seed=seed)
    return Gaussian(1.0 if wide else 0.1)


def made(certifier, f=None, noise=None, metric=None, **settings):
    f = f or (masks if certifier is SegmentSmoothing else three_times)
    metrics = [metric or L2()] if certifier.__name__.find("Center") >= 0 else []
    h = certifier(f, noise or sampled_or_exact(certifier), *metrics, **CASES[certifier] | settings)
    if certifier in (ConformalSets, ExactConformalSets):
        h.calibrate([{"score": 0.4}] * 9)
    return h


def drawn(h, x=X):
    return h.engine.run(h.procedure(x, 0, -1))


def test_every_certifier_that_keeps_draws_is_tested():
    exported = [getattr(smoothing, name) for name in smoothing.__all__]
    classes = [each for each in exported if isinstance(each, type)]
    keeping = [each for each in classes if issubclass(each, smoothing.Certifier) and getattr(each, "draws", None)]
    assert set(keeping) == set(CASES)
    assert all(issubclass(each.draws, Draws) for each in keeping)


@pytest.mark.parametrize("certifier", CASES)
def test_draws_of_the_same_f_and_noise_are_read(certifier):
    one, other = made(certifier), made(certifier, noise=sampled_or_exact(certifier))
    assert repr(other.statements(drawn(one), [0.0])) == repr(one.statements(drawn(one), [0.0]))


@pytest.mark.parametrize("certifier", CASES)
def test_draws_under_another_noise_are_refused(certifier):
    one, other = made(certifier), made(certifier, noise=sampled_or_exact(certifier, wide=True))
    with pytest.raises(SettingError, match=r"draws: expected those of the noise .*sigma=1.*sigma=0\.\d") as error:
        other.statements(drawn(one), [0.0])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("certifier", CASES)
def test_draws_of_another_function_are_refused(certifier):
    other = made(certifier, lambda x: 30 * x)
    with pytest.raises(SettingError, match="draws: expected those of this certifier's base function"):
        other.statements(drawn(made(certifier)), [0.0])


@pytest.mark.parametrize("certifier", [each for each in CASES if "Center" in each.__name__])
def test_draws_with_another_metric_are_refused(certifier):
    x = torch.tensor([0.5, 1.0])
    draws = drawn(made(certifier), x)
    with pytest.raises(SettingError, match=r"draws: expected those of the metric Angular\(.*L2\("):
        made(certifier, metric=Angular()).read(draws, 0.0)


def test_reach_and_answers_are_of_own_draws_too():
    own, wide = (made(BalancedCenterSmoothing, noise=Gaussian(sigma)) for sigma in (0.1, 1.0))
    exact, other = (made(ExactBalancedCenterSmoothing, f=f) for f in (three_times, masks))
    for refused in (lambda: wide.reach(own.draw(X), 1.0), lambda: wide.answers_within(own.draw(X))):
        with pytest.raises(SettingError, match="noise"):
            refused()
    with pytest.raises(SettingError, match="base function"):
        other.answers_within(exact.draw(X))


def test_draws_keep_their_origin_when_they_are_changed():
    draws = rechecked(made(CenterSmoothing).draw(X), rho=1.0)
    with pytest.raises(SettingError, match="noise"):
        made(BalancedCenterSmoothing, noise=Gaussian(1.0)).read(draws, 0.1)


@pytest.mark.parametrize(
    ("other", "settings"),
    [
        (CenterSmoothing, {"delta": 0.3, "alpha1": 0.01, "bound": "paper", "center": "medoid", "n": 300, "seed": 9}),
        (CenterSmoothingHD, {"candidates": 50}),
        (BalancedCenterSmoothing, {}),
    ],
)
def test_another_center_and_other_settings_may_read_them(other, settings):
    draws = made(CenterSmoothing).draw(X)
    assert made(other, **settings).read(draws if other is not BalancedCenterSmoothing else rechecked(draws, 1.0), 0.0)


def test_a_mean_reads_the_draws_of_a_median():
    assert made(MeanSmoothing).read(made(MedianSmoothing).draw(X), 0.0).status == "certified"


def test_draws_that_do_not_say_their_origin_are_read():
    draws = made(MedianSmoothing).draw(X)
    stored = type(draws)(draws.outputs, draws.base_output)
    assert stored.origin is None
    assert made(MedianSmoothing, noise=Gaussian(1.0)).read(stored, 0.1).status == "certified"


@pytest.mark.parametrize("settings", [{"n": 100}, {"alpha": 0.4}])
def test_sets_are_of_their_own_calibration(settings):
    one, other = made(ConformalSets), made(ConformalSets, **settings)
    other.calibrate([{"score": 0.4 if "n" in settings else 0.3}] * 9)
    with pytest.raises(SettingError, match=r"draws: expected those of n = .* samples and this calibration's tau"):
        other.statements(drawn(one), [0.0])


def test_stored_draws_are_read_without_a_calibration():
    draws, new = drawn(made(ConformalSets)), ConformalSets(three_times, Gaussian(0.1), **CASES[ConformalSets])
    assert new.statements(replace(draws, origin=None), [0.0])[0].tau == 0.4
    with pytest.raises(SettingError, match="calibration"):
        new.statements(draws, [0.0])


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.1), nn.BatchNorm1d(3), nn.Linear(3, 2))


def trained(net):
    with torch.no_grad():
        net[3].bias[1] += 1e-6
    return net


def statistics_seen(net):
    net.train()(torch.randn(8, 2))
    return net


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor, self.calls = factor, 0

    def forward(self, x):
        self.calls += 1
        return self.factor * x


class Locked(Scale):
    def __init__(self, factor):
        super().__init__(factor)
        self.lock = Lock()  # cannot be copied


class Plus:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a

    def __call__(self, x):
        return x + self.a


def times(factor):
    return lambda x: factor * x


SCALE, PLUS = Scale(3), Plus(3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (network, network),  # the same weights, loaded twice
        (lambda: SCALE, lambda: SCALE),
        (lambda: Scale(3), lambda: copy.deepcopy(SCALE)),
        (lambda: PLUS, lambda: PLUS),
        (lambda: times(3), lambda: times(3)),
        (lambda: times(PLUS.a), lambda: times(PLUS.a)),
        (lambda: SCALE.forward, lambda: SCALE.forward),
        (lambda: lambda x: x[:, :1].neg(), lambda: lambda x: x[:, :1].neg()),
    ],
)
def test_the_same_functions(one, other):
    draws = made(MedianSmoothing, one()).draw(X)
    assert made(MedianSmoothing, other()).read(draws, 0.1).status == "certified"


LATER = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (network, lambda: trained(network())),
        (network, lambda: statistics_seen(network())),
        (network, lambda: nn.Sequential(*network(), nn.ReLU())),
        (lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.2)),
        (lambda: Scale(3), lambda: Scale(30)),
        (lambda: Locked(3).eval(), lambda: Locked(30).eval()),
        (lambda: LATER, lambda: nn.init.zeros_(LATER.weight) is None or LATER),  # trained between both
        (lambda: Plus(3), lambda: Plus(30)),
        (lambda: times(3), lambda: times(30)),
        (lambda: times(torch.ones(2)), lambda: times(2 * torch.ones(2))),
        (lambda: Scale(3).forward, lambda: Scale(3).forward),
        (lambda: lambda x, a=1: a * x, lambda: lambda x, a=2: a * x),
        (lambda: lambda x: x.neg(), lambda: lambda x: x.exp()),
        (lambda: partial(torch.mul, other=3), lambda: partial(torch.mul, other=30)),
        (lambda: three_times, lambda: Scale(3)),
    ],
)
def test_other_functions(one, other):
    draws = made(MedianSmoothing, one()).draw(X)  # its certifier exists no longer
    with pytest.raises(SettingError, match=r"draws: expected those of .*base function"):
        made(MedianSmoothing, other()).read(draws, 0.1)


def test_the_precision_is_part_of_f():
    draws = made(MedianSmoothing, network()).draw(X)
    with pytest.raises(SettingError, match=r"base function bfloat16 Sequential, got those of float32 Sequential;"):
        made(MedianSmoothing, network(), precision="bfloat16").read(draws, 0.1)


def test_the_frozen_copy_is_the_function_that_it_was_made_of():
    h = made(MedianSmoothing, network())
    assert made(MedianSmoothing, h.f.f).read(h.draw(X), 0.1).status == "certified"


class Own(Noise):
    """Its settings have other names, and it has no text of its own."""

    threat_norm = "l2"
    shift = mass = radius = None

    def __init__(self, sigma, table=None):
        self._sigma, self._table = sigma, table
        self.calls = 0

    def sample(self, x, count, source):
        raise NotImplementedError


class Near(Metric):
    def __init__(self, scale):
        self._scale = scale

    def _distance(self, a, b):
        raise NotImplementedError


class Features(nn.Module):
    def forward(self, images):
        return [images]


def name_of(noise=None, metric=None):
    origin = Origin(smoothing.base_function.FrozenFunction(three_times), noise or Gaussian(1.0), metric)
    return origin.noise, origin.metric


@pytest.mark.parametrize(
    "make",
    [
        lambda k: {"noise": Own(k)},
        lambda k: {"noise": Own(1, torch.full((2,), k))},
        lambda k: {"noise": DeterministicSplitting(0.5, 8, (2,), seed=k)},  # its repr has the seed
        lambda k: {"noise": DeterministicSplitting(0.5, 8, (k,))},  # but not the shape
        lambda k: {"metric": Near(k)},
        lambda k: {"metric": FiniteSpace([[0, k], [k, 0]])},
        lambda k: {"metric": FeatureDistance(nn.Sequential(nn.Conv2d(1, k, 1), Features()))},
    ],
)
def test_noises_and_metrics_differ_by_their_settings(make):
    torch.manual_seed(0)
    first_one = name_of(**make(2))
    torch.manual_seed(0)
    assert name_of(**make(2)) == first_one
    assert name_of(**make(3)) != first_one


def test_restored_offsets_are_another_noise():
    one, other = (DeterministicSplitting(0.5, 8, (40,)) for _ in range(2))
    state = DeterministicSplitting(0.5, 8, (40,), seed=1).state()
    other.restore(state)
    assert repr(one) == repr(other)
    assert name_of(one) != name_of(other)


def test_a_noise_that_counts_its_calls_is_the_same():
    noise = Own(1)
    before = name_of(noise)
    noise.calls = 7
    assert name_of(noise) == before


def test_pickled_draws_know_all_but_a_function():
    draws = pickle.loads(pickle.dumps(made(MedianSmoothing, lambda x: x).draw(X)))
    assert made(MedianSmoothing, times(30)).read(draws, 0.1).status == "certified"
    with pytest.raises(SettingError, match="noise"):
        made(MedianSmoothing, noise=Gaussian(1.0)).read(draws, 0.1)
    draws = pickle.loads(pickle.dumps(made(MedianSmoothing, network()).draw(X)))
    assert made(MedianSmoothing, network()).read(draws, 0.1).status == "certified"
    with pytest.raises(SettingError, match="base function"):
        made(MedianSmoothing, trained(network())).read(draws, 0.1)


def test_copied_draws_know_all():
    draws = copy.deepcopy(made(MedianSmoothing, Plus(3)).draw(X))
    with pytest.raises(SettingError, match="base function"):
        made(MedianSmoothing, Plus(3)).read(draws, 0.1)


def test_a_copied_certifier_reads_the_draws_of_the_original():
    h = made(MedianSmoothing)
    for other in (copy.copy(h), copy.deepcopy(h), pickle.loads(pickle.dumps(h))):
        assert other.read(h.draw(X), 0.1).status == "certified"
        assert h.read(other.draw(X), 0.1).status == "certified"


def test_a_certifier_of_ones_own_may_do_without():
    class Mine(DrawsCertifier):
        draws = dict
        samples = 0

        def drawing(self, x, example):
            yield []
            return {"x": x}

        def read(self, draws, eps):
            self.origin.require(draws)
            return eps

    assert Mine(three_times, Gaussian(1.0)).certify(X, 0.1) == 0.1
