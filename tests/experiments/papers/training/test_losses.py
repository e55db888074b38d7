"""The figure of training losses, from the logs of checkpoints."""

import json

import pytest

from experiments.papers.training import TrainingLosses
from smoothing import SettingError


@pytest.fixture
def logs(tmp_path):
    """logs("Trainer", "bf16-mixed", [1.0, 0.5]) writes the log of a training; its value is the folder of all."""

    def write(trainer, precision, losses):
        folder = tmp_path / f"{trainer}-{precision}"
        folder.mkdir()
        settings = {"type": trainer, "epochs": len(losses)} | ({"precision": precision} if precision else {})
        trained_as = {"dataset": {"type": "MNIST"}, "model": {"type": "LeNet"}, "trainer": settings}
        trained_as["noise"] = {"type": "Gaussian", "sigma": 0.5}
        (folder / "checkpoint.json").write_text(json.dumps({"trained_as": trained_as}))
        rows = [f"{k},{loss},0.9,1.0" for k, loss in enumerate(losses, start=1)]
        (folder / "training.csv").write_text("\n".join(["epoch,loss,accuracy,seconds", *rows]) + "\n")
        return str(tmp_path)

    return write


@pytest.mark.parametrize(("last", "holds"), [(0.505, True), (0.52, False)])
def test_precisions_are_compared_by_epoch(logs, last, holds):
    logs("Trainer", None, [1.0, 0.5])
    logs("Trainer", "bf16-mixed", [1.0, last])
    drawing = TrainingLosses(logs("SmoothMixTrainer", "bf16-mixed", [2.0, 1.0, 0.9])).draw([])
    (claim,) = drawing.claims.to_dict("records")
    assert claim["within"] == holds
    assert claim["ours"] == pytest.approx(last / 0.5 - 1)
    left, right = drawing.figure.axes
    assert [len(axis.lines) for axis in (left, right)] == [2, 1]
    assert right.lines[0].get_ydata().tolist() == [2.0, 1.0, 0.9]
    assert len(drawing.table) == 7
    assert any("SmoothMix, bfloat16: loss 0.9 and accuracy 90.0% in the last of 3 epochs" in n for n in drawing.notes)


def test_methods_in_one_precision_have_one_panel_and_no_verdict(logs):
    drawing = TrainingLosses(logs("MacerTrainer", "bf16-mixed", [2.0, 1.0])).draw([])
    assert len(drawing.figure.axes) == 1
    assert not len(drawing.claims)


def test_no_logs(tmp_path):
    with pytest.raises(SettingError, match=r"figure\.logs: no checkpoint\.json"):
        TrainingLosses(str(tmp_path)).draw([])
