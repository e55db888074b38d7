"""A denoiser in front of a classifier: the composition of both, where the classifier is given by its class."""

import pytest
import torch

from models.classifiers import ResNetCIFAR, SmallCNN
from models.denoised import Denoised
from models.dncnn import DnCNN
from smoothing import SettingError

SMALL = {"_target_": "models.classifiers.SmallCNN", "width": 4}


def test_the_classifier_of_the_denoised_image():
    model = Denoised(10, 1, (0.3,), (0.4,), classifier=SMALL, depth=3, width=8).eval()
    assert isinstance(model.denoiser, DnCNN)
    assert isinstance(model.classifier, SmallCNN)
    images = torch.rand(4, 1, 8, 8)
    with torch.inference_mode():
        scores, alone = model(images), torch.cat([model(image[None]) for image in images])
        assert torch.equal(scores, model.classifier(model.denoiser(images)))
        assert not torch.allclose(scores, model.classifier(images), atol=1e-3)
    assert torch.allclose(scores, alone, rtol=1e-4, atol=1e-5)
    assert scores.shape == (4, 10)


def test_the_run_tells_the_classifier_what_it_tells_any():
    named = {"_target_": "models.classifiers.ResNetCIFAR", "depth": 8}
    model = Denoised(7, 3, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), classifier=named, depth=2, width=4)
    assert isinstance(model.classifier, ResNetCIFAR)
    assert model.classifier.classify.out_features == 7
    assert model.classifier.features[0].mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert model.classifier.features[0].std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert named == {"_target_": "models.classifiers.ResNetCIFAR", "depth": 8}


def test_the_classifier_begins_as_one_of_its_own_does():
    torch.manual_seed(3)
    alone = SmallCNN(10, 1, (0.3,), (0.4,), width=4)
    torch.manual_seed(3)
    model = Denoised(10, 1, (0.3,), (0.4,), classifier=SMALL)
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), model.classifier.parameters(), strict=True))


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (SMALL | {"widht": 4}, r"model\.classifier: .*widht"),
        ({"width": 4}, r"model\.classifier\._target_: expected a classifier's class"),
        ({"_target_": "models.classifiers.SmallCNNN"}, r"_target_: .*SmallCNNN"),
        ({"_target_": "nowhere.SmallCNN"}, r"_target_: .*nowhere"),
        ({"_target_": "models.classifiers"}, r"model\.classifier: "),
        ({"_target_": "models.classifiers.ResNetCIFAR", "depth": 9}, r"depth.*9"),
    ],
)
def test_refused_with_one_line(classifier, message):
    with pytest.raises(SettingError, match=message) as error:
        Denoised(10, 1, (0.3,), (0.4,), classifier=classifier)
    assert "\n" not in str(error.value)
