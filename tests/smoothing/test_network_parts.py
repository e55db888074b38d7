"""The cheap walk over a network's modules and tensors sees every change that torch's own walk sees."""

import pytest
import torch
from torch import nn

from smoothing import BaseFunctionError, Gaussian, SmoothedClassifier
from smoothing.base_function import FrozenFunction
from smoothing.network_parts import NetworkParts, tensors_of


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.BatchNorm1d(8), nn.ReLU()), nn.Linear(8, 2)).eval()


def set_module(model):
    model[1][1] = nn.Linear(8, 8)


CHANGES = {
    "a module is replaced": set_module,
    "a module is added": lambda model: model[1].append(nn.Linear(8, 8)),
    "a module is removed": lambda model: model[1].pop(1),
    "a module without children gets one": lambda model: model[0].add_module("inner", nn.Linear(2, 2)),
    "a child becomes None": lambda model: setattr(model[1], "1", None),
    "a parameter is replaced": lambda model: setattr(model[0], "weight", nn.Parameter(torch.zeros(8, 4))),
    "a parameter is removed": lambda model: setattr(model[0], "bias", None),
    "a buffer is added": lambda model: model[2].register_buffer("count", torch.zeros(3)),
    "a buffer is replaced": lambda model: setattr(model[1][0], "running_mean", torch.ones(8)),
    "other dtype": lambda model: model.double(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_it_sees_what_torch_sees(change):
    model = network()
    parts = NetworkParts(model)
    change(model)
    parts.look()
    assert parts.modules == list(model.modules())
    assert {id(t) for t in parts.tensors} == {id(t) for t in (*model.parameters(), *model.buffers())}


def test_a_scripted_network_and_another_function():
    scripted = torch.jit.script(network())
    parts = NetworkParts(scripted)
    assert len(parts.modules) == 6
    assert sorted(t.data_ptr() for t in parts.tensors) == sorted(
        t.data_ptr() for t in (*scripted.parameters(), *scripted.buffers())
    )
    assert tensors_of(torch.relu) == []


def test_a_changed_copy_is_certified_as_it_is_now():
    f, x = FrozenFunction(network()), torch.randn(5, 4)
    before = f(x)
    with torch.no_grad():
        f.f[0].weight.mul_(2)
    in_place = f(x)
    assert not torch.equal(in_place, before)
    f.f[0] = nn.Linear(4, 8).requires_grad_(False).eval()
    replaced = f(x)
    assert not torch.equal(replaced, in_place)
    assert torch.allclose(replaced, f.f(x), atol=1e-6)


def test_a_module_that_is_added_in_training_mode_is_refused():
    f = FrozenFunction(network())
    f(torch.randn(5, 4))
    f.f[1].append(nn.Dropout().train())
    with pytest.raises(BaseFunctionError, match=r"base function: 1\.2 is in training mode"):
        f(torch.randn(5, 4))


def test_a_run_sees_replaced_dictionaries_too():
    g = SmoothedClassifier(network(), Gaussian(sigma=0.1))
    g.predict(torch.zeros(4), n=100)
    inner = g.f.f[1]
    inner.__dict__["_modules"] = {"0": inner[0], "1": nn.Dropout().train()}
    with pytest.raises(BaseFunctionError, match=r"base function: 1\.1 is in training mode"):
        g.predict(torch.zeros(4), n=100)
