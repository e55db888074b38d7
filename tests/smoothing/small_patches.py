"""All binary images of a shape, the patches of an image, and noises that count one neighbour too few."""

from itertools import product

import torch

from smoothing import BandAblation, BlockAblation


def patches(shape, m):
    """Every m x m patch of an image, as a mask (H, W), cut off where the image is smaller."""
    rows, columns = (range(max(1, length - m + 1)) for length in shape[1:])
    for i, j in product(rows, columns):
        mask = torch.zeros(shape[1:], dtype=torch.bool)
        mask[i : i + m, j : j + m] = True
        yield mask


def binary(shape):
    return torch.tensor(list(product((0.0, 1.0), repeat=shape[1] * shape[2]))).view(-1, *shape)


def reachable(images, m):
    """(n, n): whether two images differ in one m x m patch at most."""
    bits = images.flatten(1).long() @ 2 ** torch.arange(images[0].numel())
    apart = bits[:, None] ^ bits
    masks = [
        int((mask.flatten().long() * 2 ** torch.arange(mask.numel())).sum()) for mask in patches(images[0].shape, m)
    ]
    return torch.stack([(apart & ~mask) == 0 for mask in masks]).any(dim=0)


class Fewer:
    """Counts one neighbour less than a patch touches: m + s - 2."""

    def _touched(self, m, length):
        return super()._touched(m, length) - (m > 0)


class FewerBands(Fewer, BandAblation):
    pass


class FewerBlocks(Fewer, BlockAblation):
    pass
