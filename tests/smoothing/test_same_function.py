"""The fast copy of a network is not another function: of guards, types and random numbers that a trace does not see."""

import weakref

import pytest
import torch
from torch import nn

from smoothing import BaseFunctionError, Certify, Gaussian, SmoothedClassifier
from smoothing.base_function import FrozenFunction
from smoothing.fast_copy import snapshot
from smoothing.folding import folded

X = torch.tensor([2.0, 0.0])


class Guarded(nn.Module):
    """Class 0, but class 1 where a detector flips the answer: on some 34 % of the noisy inputs at sigma = 0.5."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2, bias=False)
        self.fc.weight.data = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])

    def forward(self, x):
        return self.flipped(x, self.fc(x)) if self.is_usual(x) else self.fc(x)

    def is_usual(self, x):
        return True

    @staticmethod
    def flipped(x, out):
        return torch.where(x[:, 1:] > 0.2, -out, out)


class Instance(Guarded):
    def is_usual(self, x):
        return isinstance(x, torch.Tensor)


class IsTensor(Guarded):
    def is_usual(self, x):
        return torch.is_tensor(x)


class ClassOf(Guarded):
    def is_usual(self, x):
        return x.__class__ is torch.Tensor


class TypeOf(Guarded):
    def is_usual(self, x):
        return type(x) is torch.Tensor


class Attribute(Guarded):
    def is_usual(self, x):
        return not hasattr(x, "pixel_values")


class SizeOf(Guarded):
    def is_usual(self, x):
        return isinstance(x.shape[1], int)


class Caught(Guarded):
    def is_usual(self, x):
        try:
            return x.max() > -1e9
        except torch.fx.proxy.TraceError:
            return False


class OwnCall(Guarded):
    def __call__(self, x):
        return self.flipped(x, nn.Module.__call__(self, x))

    def forward(self, x):
        return self.fc(x)


@pytest.mark.parametrize("kind", [Instance, IsTensor, ClassOf, TypeOf, Attribute, SizeOf, Caught, OwnCall])
def test_a_guard_that_a_trace_does_not_see_is_kept(kind):
    network = kind()
    of_itself = SmoothedClassifier(lambda x: network(x), Gaussian(0.5)).certify(X, n=2000)
    assert 1200 < of_itself.n_a < 1400
    assert SmoothedClassifier(network, Gaussian(0.5)).certify(X, n=2000) == of_itself


@pytest.mark.parametrize("kind", [Instance, IsTensor, ClassOf, SizeOf, Caught, OwnCall])
def test_such_a_network_is_not_traced(kind):
    assert type(folded(kind().eval())[0]) is kind


class Plain(Guarded):
    def forward(self, x):
        return torch.relu(self.fc(x))


def test_a_plain_one_is():
    assert isinstance(folded(Plain().eval())[0], torch.fx.GraphModule)


class Late(nn.Module):
    """Its code asks for the type, and then behaves otherwise for inputs that the first batch does not contain."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)

    def forward(self, x):
        out = self.conv(x).flatten(1)
        return torch.where(x.flatten(1)[:, :1] > 50, -out, out) if type(x) is torch.Tensor else out


def test_a_fast_copy_that_differs_later_is_found():
    f = SmoothedClassifier(Late(), Gaussian(0.5), batch_size=64)
    f.certify(torch.zeros(1, 1, 1), n=200)
    with pytest.raises(BaseFunctionError, match="faster copy of the network is another function"):
        f.certify(100 * torch.ones(1, 1, 1), n=200)


class Depth(nn.Module):
    """Stochastic depth in eval mode. A trace keeps one draw."""

    def __init__(self, draw):
        super().__init__()
        self.fc, self.draw = nn.Linear(2, 2), draw

    def forward(self, x):
        out = self.fc(x)
        return -out if self.draw() < 0.5 else out


@pytest.mark.parametrize("draw", ["torch", "random", "numpy"])
def test_a_network_that_draws_random_numbers_has_no_fast_copy(draw):
    import random

    import numpy as np

    draws = {"torch": lambda: torch.rand(()), "random": random.random, "numpy": lambda: np.random.rand()}
    f = FrozenFunction(Depth(draws[draw]))
    f(torch.zeros(4, 2))
    assert not f.is_fast


class Head(nn.Module):
    def __init__(self, root):
        super().__init__()
        self.root = root

    def forward(self, x):
        return self.root().scale * torch.cat([-x, x], 1)


class Net(nn.Module):
    def __init__(self, reference):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.head = Head(reference(self))

    def forward(self, x):
        return self.head(x)

    def own(self):
        return self


def held(network):
    return (weakref.ref(network),)[0]


def in_values(network):
    values = weakref.WeakValueDictionary(root=network)
    return lambda: values["root"]


@pytest.mark.parametrize(
    "reference", [weakref.ref, in_values, lambda net: (lambda refs: lambda: refs[0]())([held(net)])]
)
def test_a_weak_reference_to_the_network_is_found(reference):
    network = Net(reference)
    assert "refers to the network itself" in snapshot(network)[1]


def fills(size):
    """Fills a buffer of `size` rows only; the others are of class 0."""

    def f(x):
        out = torch.tensor([1.0, 0.0]).repeat(len(x), 1)
        out[:size] = 10 * torch.cat([-x[:size], x[:size]], 1)
        return out

    return f


@pytest.mark.parametrize("size", [8, 24, 63, 64, 100, 200, 300])
def test_an_f_that_goes_wrong_from_some_row_on_is_refused(size):
    with pytest.raises(BaseFunctionError, match="depend on the batch or on chance"):
        Certify(fills(size), Gaussian(0.5), n=5000, batch_size=512)(torch.tensor([2.0]), 0)


def test_jumps_of_a_discontinuous_f_are_not():
    def f(x):  # jumps at many places of a step of float32 numbers
        return ((x.sum(dim=1, keepdim=True) * len(x) / len(x)) * 2**12).floor() % 2 * torch.tensor([1.0, -1.0])

    Certify(f, Gaussian(0.5), n=5000, batch_size=512)(torch.rand(300), 0)
