"""Weights that a model holds outside of its parameters are part of its hash."""

import io
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeRegressor
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from experiments.certifying.certification import certify
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


class Scaled(nn.Module):
    def __init__(self, gain, scale):
        super().__init__()
        self.layer, self.scale = nn.Linear(64, 10), torch.full((10,), scale)  # the scale is a constant of the program
        nn.init.constant_(self.layer.weight, gain)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x):
        return self.layer(x.flatten(1)) * self.scale


class Exported(nn.Module):
    pretrained = True

    def __init__(self, gain: float = 0.1, scale: float = 1.0):
        super().__init__()
        sizes = ({0: torch.export.Dim("b")},)
        self.program = torch.export.export(
            Scaled(gain, scale).eval(), (torch.zeros(2, 1, 8, 8),), dynamic_shapes=sizes
        ).module()

    def forward(self, x):
        return self.program(x)


def test_an_exported_program_is_its_weights_and_constants():
    made = [Exported().program, Exported().program, Exported(gain=0.2).program, Exported(scale=2.0).program]
    first, again, other, scaled = map(state_hash, made)
    assert first == again
    assert len({first, other, scaled}) == 3
    loaded = io.BytesIO()
    torch.export.save(torch.export.export(Scaled(0.1, 1.0).eval(), (torch.zeros(2, 1, 8, 8),)), loaded)
    programs = [torch.export.load(io.BytesIO(loaded.getvalue())).module() for _ in range(2)]
    assert state_hash(programs[0]) == state_hash(programs[1])


def test_an_exported_program_is_certified_and_continued(composed, tmp_path):
    words = ("dataset=digits", f"model._target_={__name__}.Exported", "~model.width", "certifier=certify", "device=cpu")
    small = ("certifier.n=100", f"results.root={tmp_path}")
    folders = {certify(composed(*words, *small, f"limit={limit}")).parent for limit in (1, 2)}
    assert len(folders) == 1


def test_tensors_of_tensors_and_tensors_without_numbers():
    def of(value):
        return state_hash(Holds([TwoTensor(torch.ones(2), torch.full((2,), value)), torch.ones(2, device="meta")]))

    assert of(1.0) == of(1.0) != of(2.0)
    assert state_hash(Holds([torch.ones(2, device="meta")])) == state_hash(Holds(None))
