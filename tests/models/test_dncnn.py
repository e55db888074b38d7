"""DnCNN: size as in the paper, residual output, output i depends only on image i."""

import pytest
import torch
from torch import nn

from models.dncnn import DnCNN
from smoothing import SettingError


@pytest.mark.parametrize(("channels", "depth", "width"), [(1, 17, 64), (3, 17, 64), (3, 20, 32)])
def test_its_number_of_weights(channels, depth, width):
    ends = 9 * channels * width + width + 9 * width * channels + channels
    middle = 9 * width * width + 2 * width
    model = DnCNN(channels, depth, width)
    assert sum(parameter.numel() for parameter in model.parameters()) == ends + (depth - 2) * middle
    assert len([m for m in model.modules() if isinstance(m, nn.Conv2d)]) == depth
    assert len([m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]) == depth - 2


def test_the_defaults_are_the_papers():
    assert [m.out_channels for m in DnCNN(3).modules() if isinstance(m, nn.Conv2d)] == [64] * 16 + [3]


def test_it_subtracts_what_its_network_finds():
    model, images = DnCNN(1, depth=4, width=8).eval(), torch.rand(3, 1, 8, 8)
    found = []
    model.noise.register_forward_hook(lambda module, given, out: found.append(out))
    with torch.inference_mode():
        out = model(images)
    assert torch.equal(out, images - found[0])
    assert found[0].abs().max() > 0.01
    nn.init.zeros_(model.noise[-1].weight)
    assert torch.equal(model(images), images)


def test_rows_of_their_own():
    model, images = DnCNN(3, depth=5, width=8), torch.rand(6, 3, 9, 7)
    model(images)  # so that running statistics differ from their initial values
    model.eval()
    with torch.inference_mode():
        together, alone = model(images), torch.cat([model(image[None]) for image in images])
    assert together.shape == images.shape
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("depth", "width"), [(1, 64), (17, 0)])
def test_refused(depth, width):
    with pytest.raises(SettingError, match="depth >= 2 and width >= 1"):
        DnCNN(1, depth, width)
