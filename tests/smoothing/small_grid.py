"""all images of 3 pixels and 6 levels, functions of them, and what a smoothing draws at each: for brute force."""

import hashlib
from itertools import product
from math import sqrt

import numpy as np
import torch

from smoothing import L2, DeterministicSplitting

D, Q = 3, 5
GRID = torch.tensor(list(product(range(Q + 1), repeat=D)), dtype=torch.float32)  # all inputs, in steps
STEPS_APART = torch.cdist(GRID, GRID, p=1).round().int()


def noise_of(steps, seed=0):
    """With L = steps: lambda below 1/2 where steps < Q."""
    noise = DeterministicSplitting((steps + 0.5) / (2 * Q * sqrt(3)), Q, (D,), seed)
    assert noise.steps == steps
    return noise


def hashes(seed, batch, count=1):
    """The first bytes of a hash of each row, (b, count)."""
    content, size = batch.contiguous().numpy().tobytes(), batch[0].nbytes
    rows = (bytes([seed]) + content[k : k + size] for k in range(0, len(content), size))
    first = b"".join(hashlib.sha256(row).digest()[:count] for row in rows)
    return torch.from_numpy(np.frombuffer(first, dtype=np.uint8).reshape(-1, count).astype(np.int64))


def random_network(seed, outputs):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(16, D, generator=generator) * 4, torch.randn(outputs, 16, generator=generator)
    return lambda x: torch.tanh((x - 0.5) @ first.T) @ second.T


def random_points(seed, outputs, values=3):
    """No structure at all: each output is one of a few points, by a hash of the noisy input."""
    return lambda batch: (hashes(seed, batch, outputs) % values).float()


def squared_distances():
    """d = |a - b|^2 has gamma = 2: d(a, c) <= 2 (d(a, b) + d(b, c))."""

    class Squared(L2):
        gamma = 2.0

        def _distance(self, a, b):
            return super()._distance(a, b) ** 2

    return Squared()


def drawn_everywhere(h, images=GRID / Q):
    """The draws of a center smoothing at every image, and the distances between all centers.

    This stands in for the engine, which would have batches of one image each: f is asked once for all noisy inputs.
    """
    drawing = [h.drawing(x, 0) for x in images]
    requests = [request for one in drawing for request in next(one)]
    copies = [request.noise.copies(request.x, 0, request.count) for request in requests]
    inputs, place = torch.cat(copies).unique(dim=0, return_inverse=True)
    outputs = h.f(inputs)[place].split(h.noise.steps)
    draws = [_result(*one) for one in zip(drawing, requests, outputs, strict=True)]
    assert np.allclose(h.draw(images[77]).distances, draws[77].distances, rtol=1e-5, atol=1e-6)
    centers = torch.stack([d.center for d in draws])
    return draws, h.metric.pairwise(centers, centers)


def _result(procedure, request, outputs):
    try:
        procedure.send([[request.reduce(outputs)]])
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it asks for more")
