"""Folded networks compute what the network computes, with fewer layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from smoothing.folding import folded


class Padded(nn.Conv2d):
    """A convolution that pads its input by a layer of its own and calls the function, as EfficientNet's do."""

    def __init__(self, *sizes, pad=(1, 1, 1, 1), **settings):
        super().__init__(*sizes, **settings)
        self.pad = nn.ZeroPad2d(pad)

    def forward(self, x):
        return functional.conv2d(
            self.pad(x), self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class ByName(nn.Conv2d):
    def forward(self, x):
        return functional.conv2d(weight=self.weight, groups=self.groups, input=x, padding=1)


class Halved(nn.Conv2d):
    def forward(self, x):
        return functional.conv2d(x, self.weight / 2, self.bias)


class PaddedOnce(nn.Module):
    """Two convolutions read one padded image, so neither may pad it itself."""

    def __init__(self):
        super().__init__()
        self.pad, self.one, self.other = nn.ZeroPad2d(1), nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x):
        padded = self.pad(x)
        return self.one(padded) + self.other(padded)


class Twice(nn.Module):
    """One layer in two places, one of them padded."""

    def __init__(self):
        super().__init__()
        self.pad, self.conv, self.norm = nn.ZeroPad2d(1), nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.conv(self.norm(self.conv(self.pad(x))))


class SharedWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = Padded(3, 3, 3), Padded(3, 3, 3, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        self.other.weight = self.one.weight

    def forward(self, x):
        return self.norms[1](self.other(self.norms[0](self.one(x))))


class NamedAlike(nn.Module):
    """Has a layer of the name that folding would give to a new one."""

    def __init__(self):
        super().__init__()
        self.convolution_0, self.last = nn.Conv2d(3, 3, 1), Padded(3, 4, 3)

    def forward(self, x):
        return self.last(self.convolution_0(x))


def followed(layer, *after):
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), *after)


CASES = {  # the network, its batch normalisations that are folded, and the paddings that stay
    "padded": (lambda: followed(Padded(3, 4, 3)), 1, 0),
    "without bias": (lambda: followed(Padded(3, 4, 3, bias=False), nn.ReLU6()), 1, 0),
    "also padded itself": (lambda: followed(Padded(3, 4, 3, padding=(2, 1), pad=(1, 1, 0, 0))), 1, 0),
    "strided, dilated, in groups": (
        lambda: followed(Padded(3, 6, 3, stride=2, dilation=(1, 2), groups=3), nn.ReLU()),
        1,
        0,
    ),
    "unequal padding": (lambda: followed(Padded(3, 4, 3, stride=2, pad=(0, 1, 0, 1))), 1, 1),
    "cropped": (lambda: followed(Padded(3, 4, 3, pad=(-1, -1, -1, -1))), 1, 1),
    "by name": (lambda: followed(ByName(3, 6, 3, groups=3, bias=False)), 1, 0),
    "another weight": (lambda: followed(Halved(3, 4, 3)), 0, 0),
    "same": (lambda: followed(Padded(3, 4, 3, padding="same")), 0, 1),
    "mirrored": (
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")),
        0,
        1,
    ),
    "padded once": (PaddedOnce, 0, 1),
    "a layer twice": (Twice, 0, 1),
    "shared weights": (SharedWeights, 2, 0),
    "named alike": (NamedAlike, 0, 0),
    "relu6 of an input": (nn.ReLU6, 0, 0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_folded_network_is_the_same_function(name, dtype):
    make, norms, paddings = CASES[name]
    torch.manual_seed(0)
    network = make().to(dtype).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    x = 4 * torch.randn(5, 3, 9, 8, dtype=dtype)
    before, kept = network(x.clone()), {name: weight.clone() for name, weight in network.state_dict().items()}
    found, count = folded(network)
    assert torch.allclose(found(x.clone()), before, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 1e-12)
    assert (count, sum(isinstance(module, nn.ZeroPad2d) for module in found.modules())) == (norms, paddings)
    assert torch.equal(network(x.clone()), before)
    assert all(torch.equal(weight, kept[name]) for name, weight in network.state_dict().items())


def test_relu6_works_in_place_where_nothing_else_reads_its_input():
    def calls(network):
        return [node.target for node in folded(network.eval())[0].graph.nodes if node.op != "placeholder"]

    assert functional.hardtanh_ in calls(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6()))
    assert functional.hardtanh_ not in calls(nn.Sequential(nn.ReLU6(), nn.Conv2d(3, 4, 3)))
