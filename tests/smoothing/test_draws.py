"""Stored draws give the certificates of what was drawn: they cannot be changed in place, and must be sorted."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from smoothing import (
    L2,
    CenterDraws,
    CenterSmoothing,
    ConformalSets,
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    SegmentSmoothing,
    SettingError,
)
from smoothing.quantile_guarantee import QuantileDraws

X, NOISE = torch.zeros(2), Gaussian(0.3)


def sets():
    g = ConformalSets(lambda x: x, NOISE, n=200, alpha=0.5, held_out=9)
    g.calibrate_on([(X, 0)] * 9)
    return g.engine.run(g.procedure(X, 20, -1))


DRAWN = {
    "center": lambda: CenterSmoothing(lambda x: 3 * x, NOISE, L2(), n=200, m=200, delta=0.3).draw(X),
    "median": lambda: MedianSmoothing(lambda x: 3 * x, NOISE, n=200).draw(X),
    "mean": lambda: MeanSmoothing(lambda x: 3 * x, NOISE, n=200, low=-1, high=1).draw(X),
    "segment": lambda: SegmentSmoothing(lambda x: x[:, None] > 0, NOISE, n=200).draw(X),
    "conformal": sets,
}


def changed(draws):
    """Whether one of the arrays can be changed in place, as `d = draws.distances; d /= d.max()` would."""
    return [name for name, value in vars(draws).items() if isinstance(value, np.ndarray) and value.flags.writeable]


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize("copied", [lambda d: d, copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_arrays_of_draws_are_read_only(drawn, copied):
    draws = copied(drawn())
    assert any(isinstance(value, np.ndarray) for value in vars(draws).values())
    assert not changed(draws)


def test_a_change_for_a_plot_does_not_change_the_certificate():
    h = CenterSmoothing(lambda x: 3 * x, NOISE, L2(), n=200, m=200, delta=0.3)
    draws = h.draw(X)
    before = h.read(draws, 0.05).eps_out
    distances = draws.distances
    with pytest.raises(ValueError, match="read-only"):
        distances /= distances.max()
    assert h.read(draws, 0.05).eps_out == before < float("inf")


def test_an_array_of_the_callers_stays_writable():
    own = np.sort(np.random.default_rng(0).random(10))
    CenterDraws(X, X, 0.3, 10, 8, own, 0.0)
    own += 1


@pytest.mark.parametrize("distances", [[0.3, 0.1, 0.2], [0.1, np.nan, 0.2], [np.inf, 1.0]])
def test_distances_that_are_not_sorted_are_refused(distances):
    with pytest.raises(SettingError, match=r"expected sorted distances, as np\.sort"):
        CenterDraws(X, X, 0.3, 10, 8, np.array(distances), 0.0)


def test_other_arrays_that_are_not_sorted_are_refused():
    with pytest.raises(SettingError, match="expected sorted outputs"):
        QuantileDraws(np.array([[0.0, 1.0], [1.0, 0.0]]), np.zeros(2))
    with pytest.raises(SettingError, match="expected sorted held"):
        CenterDraws(X, X, 0.3, 10, 8, np.zeros(0), 0.0, held=np.array([3, 2]), held_within=0.3)
    draws = DRAWN["center"]()
    with pytest.raises(SettingError, match="expected sorted distances"):
        replace(draws, distances=draws.distances[::-1])


def test_nan_comes_last_and_infinity_repeats():
    QuantileDraws(np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, np.nan]]), np.zeros(2))
    CenterDraws(X, X, 0.3, 10, 8, np.array([0.0, 0.0, np.inf, np.inf]), 0.0)
