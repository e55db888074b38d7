"""The reconstructor: y = A x with A of variance 1/256, a back-projection, and the autoencoder without its code."""

import pytest
import torch
from safetensors.torch import save
from torch import nn

from models.reconstructor import Reconstructor
from smoothing import SettingError

MNIST, CIFAR10, DIGITS = (1, 28, 28), (3, 32, 32), (1, 8, 8)


@pytest.mark.parametrize(("shape", "pixels"), [(MNIST, 784), (CIFAR10, 3072)])
def test_the_matrix_is_gaussian_of_variance_one_over_its_rows(shape, pixels):
    a = Reconstructor(shape).matrix.double()
    assert a.shape == (256, pixels)
    count = a.numel()
    assert a.mean().item() == pytest.approx(0, abs=4 / (256 * count) ** 0.5)
    assert 256 * a.var().item() == pytest.approx(1, abs=4 * (2 / count) ** 0.5)
    inside = (a.abs() < 1 / 16).double().mean().item()  # one standard deviation
    assert inside == pytest.approx(0.6827, abs=4 * (0.22 / count) ** 0.5)
    assert Reconstructor(shape).matrix.equal(Reconstructor(shape).matrix)
    assert not Reconstructor(shape, seed=1).matrix.equal(Reconstructor(shape).matrix)


@pytest.mark.parametrize("shape", [MNIST, CIFAR10])
def test_the_back_projection_is_the_pseudo_inverse(shape):
    """Penrose's four conditions hold. With fewer measurements than pixels, A A^+ is the identity."""
    model = Reconstructor(shape)
    a, back = model.matrix.double(), model.back.double()
    assert torch.allclose(a @ back, torch.eye(256, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(a @ back @ a, a, atol=1e-6)
    assert torch.allclose(back @ a @ back, back, atol=1e-6)
    assert torch.allclose(back @ a, (back @ a).T, atol=1e-6)


def test_with_more_measurements_than_pixels_nothing_is_lost():
    model, x = Reconstructor(DIGITS), torch.rand(3, *DIGITS)
    assert torch.allclose(model.measure(x) @ model.back.T, x.flatten(1), atol=1e-5)


def test_the_transpose_is_the_transpose():
    model = Reconstructor(DIGITS, measurements=1, back_projection="transpose")
    assert torch.equal(model.back, model.matrix.T)
    save({"matrix": model.matrix, "back": model.back})  # which refuses tensors that share memory


def test_measuring_is_linear():
    model = Reconstructor(MNIST).double()
    x, y = torch.rand(2, 3, *MNIST, dtype=torch.float64)
    assert model.measure(x).shape == (3, 256)
    assert torch.allclose(model.measure(2 * x - y), 2 * model.measure(x) - model.measure(y), atol=1e-12)
    assert torch.allclose(model.measure(x)[1], model.matrix @ x[1].flatten(), atol=1e-12)


@pytest.mark.parametrize(("shape", "half", "quarter"), [(MNIST, 14, 7), (CIFAR10, 16, 8)])
def test_the_network_is_the_autoencoders_without_its_code(shape, half, quarter):
    model, (channels, side, _) = Reconstructor(shape), shape
    seen = []
    for layer in model.mend.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda layer, given, out: seen.append((type(layer).__name__, out.shape[1:])))
    with torch.inference_mode():
        image = model.eval()(model.measure(torch.rand(2, *shape)))
    assert image.shape == (2, *shape)
    assert seen == [
        ("Conv2d", (32, side, side)),
        ("ReLU", (32, side, side)),
        ("BatchNorm2d", (32, side, side)),
        ("Conv2d", (64, half, half)),
        ("ReLU", (64, half, half)),
        ("Conv2d", (128, quarter, quarter)),
        ("ReLU", (128, quarter, quarter)),
        ("BatchNorm2d", (128, quarter, quarter)),
        ("ConvTranspose2d", (64, half, half)),
        ("ReLU", (64, half, half)),
        ("ConvTranspose2d", (32, side, side)),
        ("ReLU", (32, side, side)),
        ("BatchNorm2d", (32, side, side)),
        ("ConvTranspose2d", (channels, side, side)),
        ("Sigmoid", (channels, side, side)),
    ]
    assert not any(isinstance(layer, nn.Linear) for layer in model.modules())
    convolutions = [(9, channels, 32), (16, 32, 64), (16, 64, 128), (16, 128, 64), (16, 64, 32), (9, 32, channels)]
    count = sum(kernel * inside * out + out for kernel, inside, out in convolutions) + 2 * (32 + 128 + 32)
    assert sum(p.numel() for p in model.parameters()) == count


def test_the_network_is_shown_the_back_projection():
    model, y = Reconstructor(MNIST).eval(), torch.randn(2, 256)
    with torch.inference_mode():
        by_hand = model.mend((model.back @ y.T).T.reshape(2, *MNIST))
        assert torch.allclose(model(y), by_hand, atol=1e-5)


def test_the_matrix_is_kept_with_the_weights():
    one, other = Reconstructor(DIGITS), Reconstructor(DIGITS, seed=1)
    other.load_state_dict(one.state_dict())
    x = torch.rand(2, *DIGITS)
    assert torch.equal(other.measure(x), one.measure(x))
    assert torch.equal(other.back, one.back)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (1, 9, 8)}, "multiples of 4, got 9 x 8"),
        ({"shape": DIGITS, "measurements": 0}, "measurements >= 1 and seed >= 0, got 0 and 0"),
        ({"shape": DIGITS, "seed": -1}, "measurements >= 1 and seed >= 0, got 256 and -1"),
        ({"shape": DIGITS, "back_projection": "inverse"}, r"model\.back_projection: expected one of.*got inverse"),
    ],
)
def test_refused_with_one_line(settings, message):
    with pytest.raises(SettingError, match=message) as error:
        Reconstructor(**settings)
    assert "\n" not in str(error.value)
