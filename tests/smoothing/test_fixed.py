"""Settings are fixed once an object is made: no certificate mixes an old level or table with a new setting."""

import copy
import inspect
import pickle

import pytest
import torch

from smoothing import (
    L2,
    Adaptive,
    CenterSmoothing,
    ConformalSets,
    DeterministicSplitting,
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    Metric,
    SettingError,
    Uniform,
)
from smoothing.metrics import FiniteSpace


def of_classes(x):
    return torch.cat([-x, x], dim=1)


def first(x):
    return x.sum(dim=1)


def a_mean():
    return MeanSmoothing(first, Gaussian(0.5), n=500, low=-4, high=4, alpha=0.5)


MADE = {
    "mean": (a_mean, {"alpha": 1e-9, "noise": Gaussian(0.05), "bound": "paper", "low": 0.0, "n": 5, "f": first}),
    "median": (lambda: MedianSmoothing(first, Gaussian(0.5), n=500), {"alpha": 1e-9, "p": 0.9}),
    "adaptive": (lambda: Adaptive(of_classes, Gaussian(0.5), n=2000, radius=0.1), {"alpha": 1e-9, "radius": 2.0}),
    "conformal": (
        lambda: ConformalSets(of_classes, Gaussian(0.5), n=500, alpha=0.5, held_out=100),
        {"alpha": 0.1, "p": 0.5, "beta": 0.4},
    ),
    "center": (lambda: CenterSmoothing(first, Gaussian(0.1), L2(), n=1000, m=1000), {"f": of_classes, "metric": L2(2)}),
    "gaussian": (lambda: Gaussian(0.25, grid=255), {"sigma": 4.0, "grid": 16, "tv": 0.0}),
    "uniform": (lambda: Uniform(0.25, grid=255), {"sigma": 4.0, "lam": 4.0, "tv": 0.0}),
    "dssn": (lambda: DeterministicSplitting(0.5, 16, (3,)), {"sigma": 1.0, "levels": 255, "steps": 3, "seed": 1}),
    "metric": (lambda: L2(largest=3.0), {"largest": 5.0, "gamma": 2.0}),
}


@pytest.mark.parametrize("name", MADE)
def test_a_setting_takes_no_other_value(name):
    make, others = MADE[name]
    for made in (make(), copy.copy(make()), copy.deepcopy(make())):
        for setting, value in others.items():
            before = getattr(made, setting)
            with pytest.raises(SettingError, match=f"{setting}: it is fixed when {type(made).__name__} is made"):
                setattr(made, setting, value)
            assert getattr(made, setting) is before


def test_a_subclass_may_set_anything_while_it_is_made_and_what_is_no_setting_later():
    class Scaled(Metric):
        def __init__(self, scale):
            self.scale = 1.0
            self.scale, self.largest, self.calls = scale, 10 * scale, 0

        def _distance(self, a, b):
            self.calls += 1
            return self.scale * (a - b).abs().flatten(1).amax(dim=1)

    metric = Scaled(2.0)
    assert metric(torch.zeros(2, 1), torch.ones(2, 1)).tolist() == [2.0, 2.0]
    assert metric.calls > 0
    with pytest.raises(SettingError, match="scale: it is fixed when Scaled is made"):
        metric.scale = 0.1


def test_a_method_of_a_metric_belongs_to_its_class():
    with pytest.raises(SettingError, match="candidates belongs to the class"):
        L2().candidates = lambda outputs: outputs[:0]


@pytest.mark.parametrize("other", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_certifies_as_the_original(other):
    h, x = a_mean(), torch.zeros(1)
    expected = h.certify(x, eps=0.25, example=0)
    found = other(h).certify(x, eps=0.25, example=0)
    assert (found.lower, found.upper, found.failure_probability) == (
        expected.lower,
        expected.upper,
        expected.failure_probability,
    )


def test_bounds_of_the_mean_are_those_of_its_eps():
    h, x = a_mean(), torch.zeros(1)
    wide, narrow = h.certify(x, eps=[0.5, 0.25], example=0)
    assert wide.upper > narrow.upper
    assert h.certify(x, eps=0.5, example=0).upper == wide.upper


def test_a_finite_space_has_a_table_of_its_own():
    table = torch.ones(3, 3, dtype=torch.float64) - torch.eye(3)
    for given in (table, table.numpy()):
        metric = FiniteSpace(given)
        given[0, 2] = given[2, 0] = 50
        assert float(metric(torch.tensor([[0]]), torch.tensor([[2]]))) == 1.0
        given[0, 2] = given[2, 0] = 1


def test_a_certificate_has_a_center_of_its_own():
    h = CenterSmoothing(lambda x: x, Gaussian(0.1), L2(), n=1000, m=1000)
    draws = h.draw(torch.ones(1))
    first_one = h.read(draws, 0.05)
    first_one.center.mul_(0)
    assert float(h.read(draws, 0.05).center) > 0.5


def test_a_class_has_the_signature_of_its_constructor():
    class Plain(Metric):
        def _distance(self, a, b):
            return (a - b).abs().flatten(1).amax(dim=1)

    assert list(inspect.signature(Gaussian).parameters) == ["sigma", "grid"]
    assert list(inspect.signature(a_mean).parameters) == list(inspect.signature(Plain).parameters) == []
    assert Plain()(torch.zeros(1, 1), torch.ones(1, 1)) == 1
