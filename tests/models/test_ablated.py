"""Models that know which pixels are hidden."""

import pytest
import torch

from models import Ablated, AblatedAutoencoder
from models.classifiers import SmallCNN
from smoothing import SettingError

SMALL = {"_target_": "models.classifiers.SmallCNN", "width": 4}


def test_black_white_and_hidden_differ():
    model = Ablated(10, 1, classifier=SMALL).eval()
    assert isinstance(model.classifier, SmallCNN)
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.tensor([0.0, 1.0, torch.nan, 0.25]).view(1, 1, 2, 2).repeat(3, 1, 4, 4)
    with torch.inference_mode():
        scores = model(images)
    assert scores.shape == (3, 10)
    assert scores.isfinite().all()
    pairs = seen[0][0, :, :2, :2].flatten(1).T.tolist()
    assert pairs == [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.25, 0.75]]


def test_an_unknown_classifier_is_refused():
    with pytest.raises(SettingError, match=r"model\.classifier"):
        Ablated(10, 1, classifier={"_target_": "nowhere.Net"})


def test_the_autoencoder_answers_with_whole_images_and_sees_what_is_hidden():
    model, images = AblatedAutoencoder((1, 8, 8), bottleneck=4).eval(), torch.rand(3, 1, 8, 8)
    assert model.encode[0][0].in_channels == 2
    half = images.clone()
    half[..., 4:] = torch.nan
    with torch.inference_mode():
        whole, seen, black = model(images), model(half), model(half.nan_to_num(nan=0.0))
    assert seen.shape == images.shape
    assert ((seen >= 0) & (seen <= 1)).all()
    assert not torch.allclose(seen, whole)
    assert not torch.allclose(seen, black)
