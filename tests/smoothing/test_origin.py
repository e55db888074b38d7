"""Draws of another f, noise or metric are refused: they say nothing about a certifier's own function."""

from dataclasses import replace

import pytest
import torch

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
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    SegmentSmoothing,
    SettingError,
    rechecked,
)
from smoothing.draws_certifier import DrawsCertifier
from smoothing.origin import Draws

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
