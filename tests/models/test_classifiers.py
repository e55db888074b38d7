"""Classifiers: sizes as in the literature, exact normalisation as the first layer, output i depends only on image i."""

import copy

import pytest
import torch
from torch import nn

from models.classifiers import (
    LevineCNN,
    Normalisation,
    ProjectedResNet,
    ResNet50,
    ResNetCIFAR,
    SmallCNN,
    WideResNet,
    WongResNet,
)
from smoothing import BaseFunctionError, SettingError

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def weights(model):
    return sum(parameter.numel() for parameter in model.parameters())


def classifiers():
    return [
        (SmallCNN(10, 1, (0.3,), (0.4,)), (1, 8, 8)),
        (SmallCNN(10, 1, (0.3,), (0.4,)), (1, 28, 28)),
        (ResNetCIFAR(10, 3, MEAN, STD, depth=20), (3, 32, 32)),
        (ResNet50(7, 3, MEAN, STD), (3, 64, 64)),
        (WideResNet(10, 3, MEAN, STD, depth=16, width=2), (3, 32, 32)),
        (ProjectedResNet(10, 3, MEAN, STD, depth=20), (3, 32, 32)),
        (WongResNet(10, 3, MEAN, STD), (3, 32, 32)),
        (LevineCNN(10, 2, (0.0, 0.0), (1.0, 1.0)), (2, 28, 28)),
    ]


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.73)])
def test_he_et_al_give_these_numbers_of_weights(depth, millions):
    model = ResNetCIFAR(10, 3, MEAN, STD, depth=depth)
    assert round(weights(model) / 1e6, 2) == pytest.approx(millions, abs=0.011)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def projected_resnet_weights(depth, num_classes):
    """Counted from bearpaw/pytorch-classification: convolutions without bias, two numbers per batch norm channel."""
    count, channels = 9 * 3 * 16 + 2 * 16, 16
    for width in (16, 32, 64):
        if channels != width:
            count += channels * width + 2 * width  # the projection of the stage's first shortcut
        for _ in range((depth - 2) // 6):
            count += 9 * channels * width + 9 * width * width + 4 * width
            channels = width
    return count + channels * num_classes + num_classes


@pytest.mark.parametrize(("depth", "published"), [(110, 1_730_714), (20, 272_474)])
def test_the_network_of_cohen_et_al_has_this_number_of_weights(depth, published):
    model = ProjectedResNet(10, 3, MEAN, STD, depth=depth)
    assert weights(model) == published == projected_resnet_weights(depth, 10)


def test_a_projecting_shortcut_is_a_convolution_and_a_batch_norm():
    """With zero residual weights, such a block is relu(bn(W x)) of every second pixel. Other blocks are relu(x)."""
    model = ProjectedResNet(10, 3, MEAN, STD, depth=8).eval()
    for block in model.features[4:]:
        for parameter in block.residual.parameters():
            nn.init.zeros_(parameter)
    keeps, halves = model.features[4], model.features[5]
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(keeps(x), torch.relu(x))
    projection, norm = halves.shortcut
    norm.running_mean.fill_(0.5)
    expected = torch.einsum("oi,nihw->nohw", projection.weight[:, :, 0, 0], x[:, :, ::2, ::2])
    assert torch.allclose(halves(x), torch.relu((expected - 0.5) / (1 + norm.eps) ** 0.5), atol=1e-5)


def test_the_small_network_of_wong_et_al():
    """Counted from locuslab/convex_adversarial, `cifar_model_resnet` with N = 1, factor 1. All layers have biases."""
    convolutions = [(3, 16, 3)]  # input channels, output channels, kernel size
    for channels, width, first, skip in ((16, 16, 3, 1), (16, 16, 3, 1), (16, 32, 4, 2), (32, 64, 4, 2)):
        convolutions += [(channels, width, first), (width, width, 3), (channels, width, skip)]
    count = sum(c * w * k * k + w for c, w, k in convolutions) + 4096 * 1000 + 1000 + 1000 * 10 + 10
    model = WongResNet(10, 3, MEAN, STD)
    assert weights(model) == count
    assert not [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    found = sorted(
        (m.in_channels, m.out_channels, m.kernel_size[0]) for m in model.modules() if isinstance(m, nn.Conv2d)
    )
    assert found == sorted(convolutions)
    halves = model.layers[5]
    for parameter in halves.residual.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 16, 8, 8)
    assert torch.allclose(halves(x), torch.relu(nn.functional.conv2d(x, halves.shortcut.weight, stride=2)), atol=1e-6)
    with pytest.raises(BaseFunctionError, match="32 x 32"):
        model(torch.rand(1, 3, 28, 28))


def test_torchvision_gives_this_number_of_weights():
    assert weights(ResNet50(1000, 3, MEAN, STD)) == 25_557_032


def wide_resnet_weights(depth, width, num_classes, in_channels):
    """Counted from Zagoruyko and Komodakis, table 1: convolutions without bias, two numbers per batch norm channel."""
    count = 9 * in_channels * 16
    channels = 16
    for wide in (16 * width, 32 * width, 64 * width):
        if channels != wide:
            count += channels * wide  # the projection of the first block's shortcut
        for _ in range((depth - 4) // 6):
            count += 2 * channels + 9 * channels * wide + 2 * wide + 9 * wide * wide
            channels = wide
    return count + 2 * channels + channels * num_classes + num_classes


@pytest.mark.parametrize(("depth", "width", "millions"), [(40, 1, 0.6), (40, 2, 2.2), (16, 8, 11.0), (28, 10, 36.5)])
def test_zagoruyko_and_komodakis_give_these_numbers_of_weights(depth, width, millions):
    model = WideResNet(10, 3, MEAN, STD, depth=depth, width=width)
    assert weights(model) == wide_resnet_weights(depth, width, 10, 3)
    assert round(weights(model) / 1e6, 1) == millions
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == depth - (width == 1)  # at width 1 the first stage needs no projection
    assert not [m for m in model.modules() if isinstance(m, nn.Dropout)]


def test_a_wide_block_is_pre_activated():
    """With zero residual weights a block is the identity, or a projection of relu(bn(x)) if the width changes."""
    model = WideResNet(10, 3, MEAN, STD, depth=16, width=2).eval()
    widens, keeps = model.features[2], model.features[3]
    assert model.features[4].residual[0].stride == (2, 2)
    for block in (widens, keeps):
        nn.init.zeros_(block.residual[3].weight)
    x, y = torch.randn(2, 16, 8, 8), torch.randn(2, 32, 8, 8)
    active = torch.relu(x / (1 + widens.activate[0].eps) ** 0.5)
    projected = torch.einsum("oi,nihw->nohw", widens.project.weight[:, :, 0, 0], active)
    assert torch.allclose(widens(x), projected, atol=1e-5)
    assert torch.equal(keeps(y), y)


@pytest.mark.parametrize("which", range(7))
def test_scores_for_each_class_and_rows_of_their_own(which):
    model, shape = classifiers()[which]
    classes = 7 if which == 3 else 10
    images = torch.rand(6, *shape)
    model.train()
    for _ in range(2):  # so that running statistics differ from their initial values
        model(images + torch.randn_like(images))
    model.eval()
    with torch.inference_mode():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
        among_others = model(torch.cat([images[:1], 5 * torch.randn(5, *shape)]))[:1]
    assert together.shape == (6, classes)
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert torch.allclose(together[:1], among_others, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("which", range(7))
def test_normalisation_is_the_first_layer(which):
    """The same classifier with mean 0 and std 1 gives the same scores for normalised images."""
    model, shape = classifiers()[which]
    model.eval()
    first = next(m for m in model.modules() if isinstance(m, Normalisation))
    normalised, plain = copy.deepcopy(first), copy.deepcopy(model)
    without = next(m for m in plain.modules() if isinstance(m, Normalisation))
    without.mean.zero_()
    without.std.fill_(1)
    images = torch.rand(3, *shape)
    with torch.inference_mode():
        assert torch.allclose(plain(normalised(images)), model(images), rtol=1e-5, atol=1e-6)
        assert not torch.allclose(plain(images), model(images), rtol=1e-3, atol=1e-3)


def test_normalisation_is_exact():
    layer = Normalisation(MEAN, STD)
    images = torch.rand(2, 3, 5, 4)
    by_hand = torch.stack([(images[:, c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    assert torch.allclose(layer(images), by_hand, rtol=1e-6, atol=1e-6)
    assert set(layer.state_dict()) == {"mean", "std"}


def test_shortcuts_have_no_weights_and_subsample():
    block = ResNetCIFAR(10, 3, MEAN, STD, depth=8).eval().features[5]  # the first of the second stage
    for parameter in block.residual.parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(2, 16, 8, 8)
    out = block(x)
    assert out.shape == (2, 32, 4, 4)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_refused():
    with pytest.raises(SettingError, match=r"model\.depth.*111"):
        ResNetCIFAR(10, 3, MEAN, STD, depth=111)
    with pytest.raises(SettingError, match=r"model\.depth.*6 k \+ 4.*20"):
        WideResNet(10, 3, MEAN, STD, depth=20)
    with pytest.raises(SettingError, match=r"model\.width"):
        WideResNet(10, 3, MEAN, STD, width=0)
    with pytest.raises(SettingError, match="std > 0"):
        Normalisation((0.5,), (0.0,))
    with pytest.raises(SettingError, match="colour"):
        ResNet50(10, 1, (0.5,), (0.5,))
    with pytest.raises(BaseFunctionError, match=r"\(n, 1, H, W\)"):
        SmallCNN(10, 1, (0.3,), (0.4,))(torch.rand(2, 3, 8, 8))


def test_the_network_of_levine_and_feizi_has_the_shapes_of_their_code():
    model = LevineCNN(10, 2, (0.0, 0.0), (1.0, 1.0))
    shapes = [tuple(weight.shape) for name, weight in model.named_parameters() if name.endswith("weight")]
    assert shapes == [(64, 2, 4, 4), (128, 64, 4, 4), (500, 128 * 7 * 7), (100, 500), (10, 100)]
    biases = 64 + 128 + 500 + 100 + 10
    assert weights(model) == 2 * 64 * 16 + 64 * 128 * 16 + 6272 * 500 + 500 * 100 + 100 * 10 + biases
