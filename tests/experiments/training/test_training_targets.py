"""Training to numbers and to label maps: the losses, what is reported, and what is refused."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from experiments.data import Diabetes, DigitMosaics
from experiments.training import RegressionTrainer, SegmentTrainer, loop
from experiments.training.base_function import build_base_function
from models.regressor import Regressor
from models.segmenter import Segmenter
from smoothing import SettingError


def test_the_loss_is_the_mean_squared_error_to_the_target():
    x, targets = torch.randn(4, 10), torch.rand(4, 1)
    noisy = x + 0.3 * torch.randn_like(x)
    trainer, model = RegressionTrainer(1, 4, 0.1), Regressor((10,), low=-1, high=2)
    loss, outputs = trainer.objective(model, x, targets, lambda x: noisy, 0)
    difference = (model(noisy) - targets).detach().double().numpy()
    assert loss.item() == pytest.approx((difference**2).mean(), rel=1e-5)
    assert trainer.judge(outputs, targets).tolist() == pytest.approx(np.abs(difference)[:, 0], rel=1e-5)
    far = model(1e4 * torch.randn(50, 10)).detach()
    assert -1 <= float(far.min()) <= float(far.max()) <= 2


def test_the_loss_is_the_cross_entropy_of_each_position():
    x, targets = torch.rand(2, 1, 16, 16), torch.randint(11, (2, 16, 16))
    trainer, model = SegmentTrainer(1, 2, 0.1), Segmenter(11, 1, width=4)
    loss, scores = trainer.objective(model, x, targets, lambda x: x, 0)
    flat = scores.movedim(1, -1).reshape(-1, 11)
    assert loss.item() == pytest.approx(functional.cross_entropy(flat, targets.flatten()).item(), rel=1e-5)
    right = (scores.argmax(dim=1) == targets).double().mean(dim=(1, 2))
    assert trainer.judge(scores, targets).tolist() == right.tolist()
    classes = model.eval()(x)
    assert classes.shape == (2, 1, 16, 16)
    assert trainer.judge(classes, targets).tolist() == right.tolist()
    x[0, 0, 3, 3] = torch.nan
    assert model(x)[0, 0, 3, 3].isnan()
    assert not model(x)[1].isnan().any()


@pytest.mark.parametrize(
    ("experiment", "data", "reported", "better"),
    [
        ("diabetes_median", Diabetes, "absolute_error", lambda first, last: last < first),
        ("digits_segment", DigitMosaics, "accuracy", lambda first, last: last > first),
    ],
)
def test_a_short_training_gets_better_and_its_checkpoint_is_found(
    settings, tmp_path, experiment, data, reported, better
):
    few = (f"experiment={experiment}", "trainer.epochs=2", f"checkpoints.root={tmp_path}", "device=cpu")
    folder = loop.train(settings(*few))
    metadata = json.loads((folder / "checkpoint.json").read_text())
    log = (folder / "training.csv").read_text().splitlines()
    column = log[0].split(",").index(reported)
    assert better(*(float(row.split(",")[column]) for row in log[1:3]))
    model = build_base_function(settings(*few), data()).model.eval()
    testing = data().testing()
    inputs = torch.stack([data()[k] for k in range(len(testing))])
    with torch.inference_mode():
        found = settings(*few).trainer.build().judge(model(inputs), testing.labels).mean().item()
    assert metadata[f"test_{reported}_clean"] == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize(
    ("experiment", "overrides", "message"),
    [
        ("diabetes_median", ("+trainer.stability=1",), r"trainer\.stability: expected 0 with RegressionTrainer"),
        ("digits_segment", ("+trainer.flip=true",), r"trainer\.crop_padding, trainer\.flip: expected 0 and false"),
        (
            "digits_segment",
            ("trainer=regression",),
            r"RegressionTrainer expected outputs of the targets' shape, \(16, 16\)",
        ),
        ("diabetes_median", ("trainer=segmentation",), r"SegmentTrainer expected scores"),
        ("diabetes_median", ("model.high=-1",), r"model\.high: expected more than model\.low = 0\.0, got -1"),
    ],
)
def test_refused_with_one_line(settings, tmp_path, experiment, overrides, message):
    with pytest.raises(SettingError, match=message):
        loop.train(settings(f"experiment={experiment}", f"checkpoints.root={tmp_path}", "device=cpu", *overrides))
