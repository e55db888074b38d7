"""Small base functions for gray images of 8 x 8 pixels, and the images."""

import torch
from torch import nn

LEVELS = 16


class Network(nn.Module):
    """A small network for gray images; `head` forms its `numbers` into outputs."""

    def __init__(self, numbers, head):
        super().__init__()
        torch.manual_seed(1)
        self.head = head
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.last = nn.Linear(16, numbers)
        self.eval()

    def forward(self, x):
        return self.head(4 * self.last(self.layers(x.nan_to_num(nan=0.0)).flatten(1)))


class Product:
    """A callable that is no network, which takes fewer kernels."""

    def __init__(self, numbers, head):
        self.weights = torch.randn(64, numbers, generator=torch.Generator().manual_seed(1)) / 2
        self.head = head

    def to(self, device):
        self.weights = self.weights.to(device)
        return self

    def __call__(self, x):
        return self.head(x.nan_to_num(nan=0.0).flatten(1) @ self.weights)


class Features(nn.Module):
    """Two stages of features."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 2)

    def forward(self, x):
        first = self.first(x)
        return [first, self.second(first)]


class FeaturesOfLPIPS(nn.Module):
    """In place of the network of the package lpips."""

    def __init__(self, weights):
        super().__init__()
        self.scaling_layer, self.net = nn.Identity(), Features()
        self.lins = nn.ModuleList(nn.Module() for _ in range(2))
        for head, channels in zip(self.lins, (3, 2), strict=True):
            head.model = nn.Sequential(nn.Conv2d(channels, 1, 1, bias=False))
            nn.init.uniform_(head.model[0].weight)
        self.requires_grad_(False)


def vector(found):
    return found


def favoured(found):
    return torch.cat([found[:, :1] + 3, found[:, 1:]], dim=1)


def points(found):
    return found.view(-1, 3, 2)


def point(found):
    return found.argmax(dim=1, keepdim=True)


def boxes(found):
    return torch.cat([found[:, :2], found[:, :2] + 0.5 + found[:, 2:].abs()], dim=1)


def image(found):
    return found.view(-1, 1, 4, 4)


def large_image(found):
    return image(found).repeat(1, 1, 4, 4)


def mask(found):
    return (image(found) > 0).float()


def cells(found):
    return found.view(-1, 2, 4)


VOTES = 3, favoured
CELLS = 8, cells  # scores of two classes at four positions
OUTPUTS = {  # for each metric: how many numbers f has, and what they are formed into
    "L2": (6, vector),
    "EnclosingBallL2": (2, vector),
    "Angular": (6, vector),
    "Cosine": (6, vector),
    "TotalVariation": (16, image),
    "Hamming": (16, mask),
    "MaskJaccard": (16, mask),
    "Jaccard": (4, boxes),
    "Hausdorff": (6, points),
    "FiniteSpace": (3, point),
    "FeatureDistance": (16, image),
    "LPIPS": (16, large_image),
}


def images(device, count=2):
    """Images on the levels. They are made on the device, so only its streams know when they are complete."""
    for k in range(count):
        levels = torch.randint(LEVELS + 1, (1, 8, 8), generator=torch.Generator().manual_seed(k)).to(device)
        yield levels / LEVELS
