"""The frozen copy and the fast copy of a network are the same function as the network, which is unchanged."""

import copy
import threading
import warnings
from typing import NamedTuple

import pytest
import torch
from odd_networks import NETWORKS, Keeps, convolutions, images
from torch import nn

from smoothing import L2, BaseFunctionError, CenterSmoothing, Gaussian, SmoothedClassifier
from smoothing.base_function import FrozenFunction


def quantized(f):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(f, {nn.Linear}, dtype=torch.qint8)


def test_dynamic_quantization_depends_on_the_batch_and_is_refused():
    with pytest.raises(BaseFunctionError, match="depend on the batch"):
        SmoothedClassifier(quantized(convolutions().eval()), Gaussian(0.25)).certify(torch.rand(3, 6, 6), 10, 100)


def made(name):
    """The network in eval mode, with running statistics that differ from a new one's."""
    network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    if not name.startswith("export"):
        network.eval()
    return network


@pytest.mark.parametrize("place", [0, 1, 2, None], ids=["layer", "norm", "relu", "network"])
@pytest.mark.parametrize("before", [False, True])
def test_a_hook_that_seldom_acts_is_kept(place, before):
    network = made("plain")
    module = network if place is None else network[place]
    if before:
        module.register_forward_pre_hook(lambda m, i: (i[0] + 10 * (i[0] > 40),))
    else:
        module.register_forward_hook(lambda m, i, o: o + 10 * (o > 40))
    f, x = FrozenFunction(network), images(network)
    f(x)  # where the hook does nothing
    with torch.no_grad():
        expected = network(1000 * x)
    assert torch.allclose(f(1000 * x), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_gives_what_it_gives_itself(name):
    network = made(name)
    x = images(network)
    with torch.no_grad():
        expected = network(x.clone())
    f = FrozenFunction(network)
    for _ in range(2):
        assert torch.allclose(f(x), expected, atol=1e-4 if name == "an offset" else 1e-5)
    assert torch.allclose(f(x[:1]), expected[:1], atol=1e-4 if name == "an offset" else 1e-5)
    certificate = CenterSmoothing(network, Gaussian(0.25), L2(), n=100, m=100, delta=0.3).certify(x[0], 0.01)
    assert certificate.status == "certified"


@pytest.mark.parametrize("name", ["view", "3d", "hook that doubles", "own layer", "tied", "an offset"])
def test_they_do_in_bfloat16_too(name):
    network = made(name)
    x = images(network)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = network(x).float()
    assert torch.allclose(FrozenFunction(network, "bfloat16")(x), expected, atol=0.05, rtol=0.01)


@pytest.mark.parametrize("name", ["plain", "view", "weight norm", "tied"])
def test_and_in_double_precision(name):
    network = made(name).double()
    x = images(network).double()
    with torch.no_grad():
        expected = network(x)
    found = FrozenFunction(network)(x)
    assert found.dtype == torch.float64
    assert torch.allclose(found, expected, atol=1e-12)


def test_what_was_used_is_reported():
    def of(name):
        f = FrozenFunction(made(name))
        f(images(f.f))
        return f.arithmetic()["memory_format"], f.arithmetic()["folded_batch_norms"]

    assert of("plain") == ("channels_last", 1)
    assert of("view") == ("as given", 0)
    assert of("3d") == ("as given", 1)
    assert of("a lock") == ("as given", 0)
    assert of("an offset") == ("channels_last", 0)
    assert of("own layer") == of("hook that clips") == of("hook on the norm") == ("channels_last", 0)
    assert of("weight norm") == ("channels_last", 0)


def test_layers_without_weights_are_refused():
    with pytest.raises(BaseFunctionError, match="lazy layers without weights"):
        FrozenFunction(nn.Sequential(nn.Flatten(), nn.LazyLinear(2)))


@pytest.mark.parametrize("change", ["data", "attribute", "optimizer", "buffer", "state", "mode", "layer"])
def test_what_happens_to_the_network_afterwards_does_not_reach_the_copy(change):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.k = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), 1.0

        def forward(self, x):
            return self.k * self.layers(x)

    model = Scaled()
    h = CenterSmoothing(model, Gaussian(0.25), L2(), n=100, m=100, delta=0.3)
    x = torch.rand(3)
    before = h.certify(x, 0.01, example=0).eps_out
    if change == "data":
        model.layers[0].weight.data.mul_(10)
    elif change == "attribute":
        model.k = 10
    elif change == "optimizer":
        model(torch.rand(8, 3)).pow(2).sum().backward()
        torch.optim.SGD(model.parameters(), 10.0).step()
    elif change == "buffer":
        model.layers[1].running_var.mul_(0.01)
    elif change == "state":
        model.load_state_dict({key: 10 * value for key, value in model.state_dict().items()})
    elif change == "mode":
        model.train()
    else:
        model.layers[0] = nn.Linear(3, 3)
    assert h.certify(x, 0.01, example=0).eps_out == before
    after = CenterSmoothing(model, Gaussian(0.25), L2(), n=100, m=100, delta=0.3).certify(x, 0.01, example=0).eps_out
    assert (after == before) == (change == "mode")


def test_one_that_cannot_be_copied_is_followed():
    model = Keeps(threading.Lock()).eval()
    h = CenterSmoothing(model, Gaussian(0.25), L2(), n=100, m=100, delta=0.3)
    x = torch.rand(3, 6, 6)
    before = h.certify(x, 0.01, example=0).eps_out
    model.layers[-1].weight.data.mul_(10)
    assert h.certify(x, 0.01, example=0).eps_out == pytest.approx(10 * before, rel=1e-4)


def test_a_callable_is_followed():
    scale = [1.0]
    h = CenterSmoothing(lambda b: scale[0] * b, Gaussian(0.25), L2(), n=100, m=100, delta=0.3)
    before = h.certify(torch.rand(3), 0.01, example=0).eps_out
    scale[0] = 10.0
    assert h.certify(torch.rand(3), 0.01, example=0).eps_out == pytest.approx(10 * before, rel=1e-5)


@pytest.mark.parametrize("name", ["plain", "a lock", "such tensors", "hook that fills"])
def test_the_network_is_left_as_it_was(name):
    model = NETWORKS[name]()
    model.layers[1].eval() if hasattr(model, "layers") else model[1].eval()
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    g = SmoothedClassifier(model, Gaussian(0.25))
    if name == "plain":
        g.certify(torch.rand(3, 6, 6), n0=10, n=100)
    else:
        with pytest.raises(BaseFunctionError, match="cannot be copied"):
            g.certify(torch.rand(3, 6, 6), n0=10, n=100)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    model(torch.rand(4, 3, 6, 6)).sum().backward()
    assert model.get_parameter("layers.0.weight" if hasattr(model, "layers") else "0.weight").grad is not None


def test_gradients_of_the_frozen_copy_reach_its_inputs():
    f = FrozenFunction(convolutions())
    x = images(f.f)
    f(x)
    batch = x.clone().requires_grad_(True)
    assert torch.autograd.grad(f.f(batch).sum(), batch)[0].abs().sum() > 0


def test_tuples_of_settings_are_copied_with_the_network():
    """deepcopy keeps the originals of what it copies alive; they are no part of the copy."""

    class Settings(NamedTuple):
        stride: list

    class Configured(nn.Module):
        def __init__(self):
            super().__init__()
            self.settings, self.linear = [Settings([1]), (2, {"a": 3})], nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x)

    network = Configured()
    f, x = FrozenFunction(network), torch.rand(4, 3)
    assert f.not_copied == ""
    before = f(x)
    network.linear.weight.data.zero_()
    assert torch.equal(f(x), before)
