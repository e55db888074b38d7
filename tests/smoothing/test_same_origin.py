"""Which functions, noises and metrics are the same, also after copying and pickling."""

import copy
import pickle
from functools import partial
from threading import Lock

import pytest
import torch
from torch import nn

import smoothing
from smoothing import (
    DeterministicSplitting,
    FeatureDistance,
    FiniteSpace,
    Gaussian,
    MedianSmoothing,
    Metric,
    Noise,
    SettingError,
)
from smoothing.origin import Origin

X = torch.zeros(2)


def three_times(x):
    return 3 * x


def median(f=three_times, noise=None, **evaluation):
    return MedianSmoothing(f, noise or Gaussian(0.1), n=200, **evaluation)


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
    draws = median(one()).draw(X)
    assert median(other()).read(draws, 0.1).status == "certified"


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
    draws = median(one()).draw(X)  # its certifier exists no longer
    with pytest.raises(SettingError, match=r"draws: expected those of .*base function"):
        median(other()).read(draws, 0.1)


def test_the_precision_is_part_of_f():
    draws = median(network()).draw(X)
    with pytest.raises(SettingError, match=r"base function bfloat16 Sequential, got those of float32 Sequential;"):
        median(network(), precision="bfloat16").read(draws, 0.1)


def test_the_frozen_copy_is_the_function_that_it_was_made_of():
    h = median(network())
    assert median(h.f.f).read(h.draw(X), 0.1).status == "certified"


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
    draws = pickle.loads(pickle.dumps(median(lambda x: x).draw(X)))
    assert median(times(30)).read(draws, 0.1).status == "certified"
    with pytest.raises(SettingError, match="noise"):
        median(noise=Gaussian(1.0)).read(draws, 0.1)
    draws = pickle.loads(pickle.dumps(median(network()).draw(X)))
    assert median(network()).read(draws, 0.1).status == "certified"
    with pytest.raises(SettingError, match="base function"):
        median(trained(network())).read(draws, 0.1)


def test_copied_draws_know_all():
    draws = copy.deepcopy(median(Plus(3)).draw(X))
    with pytest.raises(SettingError, match="base function"):
        median(Plus(3)).read(draws, 0.1)


def test_a_copied_certifier_reads_the_draws_of_the_original():
    h = median()
    for other in (copy.copy(h), copy.deepcopy(h), pickle.loads(pickle.dumps(h))):
        assert other.read(h.draw(X), 0.1).status == "certified"
        assert h.read(other.draw(X), 0.1).status == "certified"
