"""Networks of transformers by name: their own normalisation, size and outputs. Each mistake is one line."""

import time

import numpy as np
import pytest
import torch
from by_name import NAMES, by_transformers, pixels, scores
from PIL import Image

from smoothing import SettingError


def test_without_a_network_transformers_says_what_to_type(transformers, offline):
    started = time.perf_counter()
    with pytest.raises(SettingError, match=r"some/vit cannot be fetched here \(the hub does not") as error:
        by_transformers("some/vit")
    assert "from_pretrained('some/vit').save_pretrained('network')" in str(error.value)
    assert "\n" not in str(error.value)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("given", [{}, {"do_normalize": False}, {"rescale_factor": 1 / 127.5}])
def test_transformers_prepares_images_as_the_package_does(transformers, saved, given):
    processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16}, image_mean=[0.1, 0.2, 0.3], **given)
    folder = saved(processor)
    model, own = by_transformers(folder), transformers.ViTForImageClassification.from_pretrained(folder).eval()
    for side, close in ((16, 1e-5), (32, 0.02)):  # the package resizes before, and rounds to 256 levels
        images = pixels(side, side)
        prepared = processor(list(images), return_tensors="pt")["pixel_values"]
        assert torch.allclose(model.normalise(model._resized(images / 255)), prepared, atol=4 * close)
        assert torch.allclose(scores(model, images / 255), scores(own, prepared).logits, atol=close)


def test_a_processor_that_crops_gives_the_size_of_its_crops(transformers, saved):
    convnext = transformers.ConvNextImageProcessor(size={"shortest_edge": 16})
    assert by_transformers(saved(convnext)).size == (16, 16)
    clip = transformers.CLIPImageProcessor(size={"shortest_edge": 20}, crop_size={"height": 16, "width": 16})
    assert by_transformers(saved(clip)).size == (16, 16)


def test_transformers_outputs_are_found_by_label(transformers, saved):
    folder = saved(id2label={0: "Cat, feline", 1: "sea_lion", 2: "ant", 3: "bee"}, label2id={"ant": 2})
    every, images = by_transformers(folder, [*NAMES, "sea lion"]), torch.rand(2, 3, 16, 16)
    assert every.outputs.tolist() == [2, 3, 0, 1]
    assert by_transformers(folder, NAMES).outputs.tolist() == [2, 3, 0]
    assert torch.equal(scores(by_transformers(folder), images), scores(every, images)[:, :3])
    assert by_transformers(folder, list("abcd")).outputs is None
    with pytest.raises(SettingError, match=r"has 4 outputs, and the data set has 2 classes.*'Cat, feline'"):
        by_transformers(folder, ["a", "b"])


def test_transformers_weights_are_float32_and_can_be_new(transformers, saved):
    folder = saved(num_labels=3, dtype="float16")
    assert {p.dtype for p in by_transformers(folder).parameters()} == {torch.float32}
    first, second = (by_transformers(folder, list("abcd"), weights="random") for _ in range(2))
    fresh, images = by_transformers(folder, list("abcd"), weights=None), torch.rand(2, 3, 16, 16)
    assert torch.equal(scores(first, images), scores(second, images))
    assert scores(fresh, images).shape == (2, 4)
    fresh.load_state_dict(first.state_dict())
    assert torch.equal(scores(first, images), scores(fresh, images))


def test_mistakes_with_transformers_are_one_line(transformers, saved, tmp_path):
    folder = saved()
    cases = [
        ({"folder": tmp_path / "netwrok"}, "no folder .*did you mean '.*network'"),
        ({"folder": "./nowhere"}, r"no folder './nowhere'; expected one that save_pretrained wrote"),
        ({"folder": tmp_path}, "holds no image classifier of transformers"),
        ({"folder": folder, "weights": "mine.pt"}, r"model\.weights: expected own, random or null, got mine\.pt"),
        ({"folder": folder, "outputs": [0, 1, 3]}, r"model\.outputs: expected 3 different numbers from 0 to 2"),
        ({"folder": folder, "weights": "random", "outputs": [0]}, r"model\.outputs: a network with new weights"),
    ]
    for given, message in cases:
        with pytest.raises(SettingError, match=message) as error:
            by_transformers(**given)
        assert "\n" not in str(error.value)


def test_a_network_that_was_not_trained_to_classify_is_refused(transformers, saved):
    folder = saved()
    config = transformers.ViTConfig.from_pretrained(folder)
    transformers.ViTModel(config).save_pretrained(folder)
    with pytest.raises(SettingError, match=r"do not fit its network \(classifier\.bias\); was it trained to classify"):
        by_transformers(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(SettingError, match=r"holds no image classifier.*expected the files"):
        by_transformers(folder)


@pytest.fixture
def folder(tmp_path):
    """Images of 16 x 16 of three classes, to certify only."""
    random = np.random.default_rng(0)
    for name in NAMES:
        place = tmp_path / "images" / "test" / name
        place.mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(place / "0.png")
    return tmp_path / "images"
