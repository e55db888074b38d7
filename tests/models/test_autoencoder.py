"""The autoencoder: the published layers, for images of any size that they can divide."""

import pytest
import torch
from torch import nn

from models.autoencoder import Autoencoder
from smoothing import SettingError

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def layers_of(model, x):
    """Type and output shape of each layer, in the order of execution, for one image."""
    seen = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, out: seen.append((type(layer).__name__, tuple(out.shape[1:]))))
        for layer in model.modules()
        if not list(layer.children())
    ]
    with torch.inference_mode():
        model.eval()(x)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(("shape", "half", "quarter"), [((1, 28, 28), 14, 7), ((3, 32, 32), 16, 8), ((1, 8, 8), 4, 2)])
def test_the_layers_are_the_papers(shape, half, quarter):
    model, (channels, side, _) = Autoencoder(shape), shape
    features = 128 * quarter**2
    expected = [
        ("Conv2d", (32, side, side)),
        ("ReLU", (32, side, side)),
        ("BatchNorm2d", (32, side, side)),
        ("Conv2d", (64, half, half)),
        ("ReLU", (64, half, half)),
        ("Conv2d", (128, quarter, quarter)),
        ("ReLU", (128, quarter, quarter)),
        ("BatchNorm2d", (128, quarter, quarter)),
        ("Flatten", (features,)),
        ("Linear", (256,)),
        ("ReLU", (256,)),
        ("Linear", (features,)),
        ("ReLU", (features,)),
        ("Unflatten", (128, quarter, quarter)),
        ("BatchNorm2d", (128, quarter, quarter)),
        ("ConvTranspose2d", (64, half, half)),
        ("ReLU", (64, half, half)),
        ("ConvTranspose2d", (32, side, side)),
        ("ReLU", (32, side, side)),
        ("BatchNorm2d", (32, side, side)),
        ("ConvTranspose2d", (channels, side, side)),
        ("Sigmoid", (channels, side, side)),
    ]
    assert layers_of(model, torch.rand(1, *shape)) == expected
    kernels = [(m.kernel_size[0], m.stride[0], m.padding[0]) for m in model.modules() if isinstance(m, CONVOLUTIONS)]
    assert kernels == [(3, 1, 1), (4, 2, 1), (4, 2, 1), (4, 2, 1), (4, 2, 1), (3, 1, 1)]


@pytest.mark.parametrize(("shape", "bottleneck"), [((1, 28, 28), 256), ((3, 32, 32), 256), ((1, 8, 8), 32)])
def test_number_of_weights(shape, bottleneck):
    """Counted by hand: k k in out + out per convolution, in out + out per linear layer, 2 per normalised channel."""
    channels, side, _ = shape
    features = 128 * (side // 4) ** 2
    convolutions = [(9, channels, 32), (16, 32, 64), (16, 64, 128), (16, 128, 64), (16, 64, 32), (9, 32, channels)]
    count = sum(kernel * inside * out + out for kernel, inside, out in convolutions)
    count += features * bottleneck + bottleneck + bottleneck * features + features
    count += 2 * (32 + 128 + 128 + 32)
    assert sum(p.numel() for p in Autoencoder(shape, bottleneck).parameters()) == count


def test_an_image_does_not_see_its_batch():
    model, x = Autoencoder((1, 8, 8), 16).eval(), torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        together = model(x + 0.5 * torch.randn_like(x))
        again = torch.cat([model(x[:3]), model(x[3:])])
        assert torch.allclose(again, model(x), atol=1e-6)
    assert together.shape == x.shape
    assert together.min() >= 0
    assert together.max() <= 1


@pytest.mark.parametrize(
    ("shape", "bottleneck", "message"),
    [
        ((1, 30, 28), 256, "model: .*multiples of 4, got 30 x 28"),
        ((3, 32, 33), 256, "model: .*multiples of 4, got 32 x 33"),
        ((1, 28, 28), 0, r"model\.bottleneck: expected at least 1, got 0"),
    ],
)
def test_refused_with_one_line(shape, bottleneck, message):
    with pytest.raises(SettingError, match=message) as error:
        Autoencoder(shape, bottleneck)
    assert "\n" not in str(error.value)
