"""Networks that are hard to copy or to fold: views, hooks, shared weights, layers that a trace does not see."""

import threading
import warnings

import torch
from torch import nn
from torch.nn.utils import parametrizations


class Viewed(nn.Module):
    """Needs its features contiguous, as `view` does."""

    def __init__(self, flat):
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(144, 2)
        self.flat = flat

    def forward(self, x):
        return self.last(self.flat(torch.relu(self.norm(self.conv(x)))))


class Volumes(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(108, 2))

    def forward(self, x):
        return self.layers(x)


class Keeps(nn.Module):
    """Contains an object besides its layers."""

    def __init__(self, held):
        super().__init__()
        self.layers, self.held = convolutions(), held

    def forward(self, x):
        return self.layers(x)


class Features(nn.Module):
    """A hook writes what `forward` reads. A copy's hook would write into the original."""

    def __init__(self):
        super().__init__()
        self.layers, self.seen = convolutions(), {}
        self.layers[1].register_forward_hook(lambda module, inputs, output: self.seen.update(a=output))

    def forward(self, x):
        self.layers(x)
        return self.seen["a"].flatten(1)


class Standardised(nn.Conv2d):
    """A convolution that changes its weights before it uses them."""

    def forward(self, x):
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias, padding=1)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        self.other.weight = self.one.weight

    def forward(self, x):
        x = torch.relu(self.norms[0](self.one(x)))
        return self.norms[1](self.other(x)).flatten(1)


class Shifted(nn.Module):
    """A trace keeps the wrong branch, and an offset hides it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(convolutions(), nn.Linear(2, 2))

    def forward(self, x):
        return 1000 + self.layers(x) * (2 if isinstance(x, torch.Tensor) else 1)


def convolutions(first=None):
    return nn.Sequential(
        first or nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    )


def hooked(place, hook):
    f = convolutions()
    (f if place is None else f[place]).register_forward_hook(hook)
    return f


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convolutions(torch.nn.utils.weight_norm(nn.Conv2d(3, 4, 3, padding=1)))


def generator():
    yield 1


def own_forward():
    f = convolutions()
    plain = f.forward
    f.forward = lambda x: 2 * plain(x)
    return f


NETWORKS = {
    "plain": convolutions,
    "view": lambda: Viewed(lambda v: v.view(len(v), -1)),
    "as_strided": lambda: Viewed(lambda v: torch.as_strided(v, (len(v), 144), (144, 1))),
    "contiguous only": lambda: Viewed(lambda v: v.view(-1, 4, 36).permute(0, 2, 1).reshape(-1, 144)),
    "3d": Volumes,
    "a lock": lambda: Keeps(threading.Lock()),
    "a generator": lambda: Keeps(generator()),
    "an open file": lambda: Keeps(open(__file__)),  # noqa: SIM115
    "a tensor with a history": lambda: Keeps(torch.ones(2, requires_grad=True) * 2),
    "such tensors": lambda: Keeps([torch.ones(2, requires_grad=True) * 2]),
    "old weight norm": old_weight_norm,
    "weight norm": lambda: convolutions(parametrizations.weight_norm(nn.Conv2d(3, 4, 3, padding=1))),
    "spectral norm": lambda: convolutions(parametrizations.spectral_norm(nn.Conv2d(3, 4, 3, padding=1))),
    "own layer": lambda: convolutions(Standardised(3, 4, 3)),
    "hook that doubles": lambda: hooked(0, lambda m, i, o: 2 * o),
    "hook that clips": lambda: hooked(0, lambda m, i, o: o.clamp(max=0.5)),
    "hook on the norm": lambda: hooked(1, lambda m, i, o: o.clamp(max=0.5)),
    "hook on the network": lambda: hooked(None, lambda m, i, o: 3 * o),
    "hook that fills": Features,
    "forward replaced": own_forward,
    "tied": Tied,
    "an offset": Shifted,
    "no parameters": lambda: nn.Sequential(nn.AvgPool2d(2), nn.Flatten()),
    "script": lambda: torch.jit.script(convolutions().eval()),
    "script of view": lambda: torch.jit.script(ScriptedView().eval()),
    "trace": lambda: torch.jit.trace(convolutions().eval(), torch.rand(2, 3, 6, 6)),
    "frozen script": lambda: torch.jit.freeze(torch.jit.script(convolutions().eval())),
    "export": lambda: exported(convolutions().eval()),
    "export of a view": lambda: exported(Viewed(lambda v: v.view(v.shape[0], -1)).eval()),
    "compiled by its owner": lambda: torch.compile(convolutions(), backend="eager"),
    "data parallel": lambda: nn.DataParallel(convolutions()),
}


class ScriptedView(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(144, 2)

    def forward(self, x):
        v = self.conv(x)
        return self.last(v.view(len(v), -1))


def exported(f):
    rows = torch.export.Dim("rows", min=1)
    return torch.export.export(f, (torch.rand(4, 3, 6, 6),), dynamic_shapes=({0: rows},)).module()


def images(network, rows=10):
    shape = (3, 3, 3, 3) if isinstance(network, Volumes) else (3, 6, 6)
    return torch.rand(rows, *shape, generator=torch.Generator().manual_seed(1))
