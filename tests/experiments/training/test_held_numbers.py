"""Weights that a model holds outside of its parameters are part of its hash."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeRegressor
from torch import nn

from experiments.training.checkpoints import state_hash

X = np.arange(6.0).reshape(3, 2)


class Estimator:
    def __init__(self, weights):
        self.coef_ = weights
        self.itself = self  # a cycle


class Holds(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.layer = nn.Linear(2, 2, bias=False)
        nn.init.ones_(self.layer.weight)
        self.held = held
        self.function, self.text = print, "text"
        self.drawn = [torch.Generator(), np.random.default_rng(), np.random.RandomState()]


HELD = {
    "an estimator": lambda weights: Estimator(weights),
    "a list": lambda weights: [None, weights],
    "a dictionary": lambda weights: {"a": (weights,)},
    "an array": lambda weights: weights,
    "tensors in a list": lambda weights: [torch.from_numpy(weights)],
    "a module in a list": lambda weights: [nn.utils.parametrize.ParametrizationList, nn_of(weights)],
    "numbers of Python": lambda weights: {"w": [*weights.flatten().tolist(), 0.0, 1.0]},
    "a compiled object": lambda weights: DecisionTreeRegressor(random_state=0).fit(weights.T, weights[0] * [1, 2, 3]),
    "objects of many parts": lambda weights: [
        DecisionTreeRegressor(random_state=0).fit(X, X[:, 0] * scale) for scale in (1, 1, *weights[0])
    ],
    "a partial function": lambda weights: partial(print, weights),
    "scalars of NumPy": lambda weights: list(np.repeat(weights.flatten(), 2).astype(np.float32)),
    "huge numbers": lambda weights: [10**400, *range(8), int(weights[0, 0])],
    "names": lambda weights: {"names": np.array(["a", None], dtype=object), 1: weights},
}


def nn_of(weights):
    layer = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
    return layer


@pytest.mark.parametrize("kind", HELD)
def test_other_numbers_are_another_model(kind):
    first, again, other = (Holds(HELD[kind](np.full((2, 3), value))) for value in (1.0, 1.0, 2.0))
    assert state_hash(first) == state_hash(again) != state_hash(other)


def test_a_model_without_such_numbers_keeps_its_hash():
    """The hash that committed runs have: of the registered tensors alone."""
    assert state_hash(Holds(None)) == state_hash(Holds([1, "text", {"k": 2.0}]))
    torch.manual_seed(0)
    assert state_hash(nn.Linear(2, 2)) == "3a7700e49bdc1075"
