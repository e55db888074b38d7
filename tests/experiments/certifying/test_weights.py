"""A model that brings its own weights: a run does not resume with other weights under the same name."""

import json

import pytest
import torch

from experiments.certifying.certification import certify
from experiments.training.checkpoints import state_hash
from smoothing import SmoothingError


class Thumbnail(torch.nn.Module):
    """Images at half their size, times a number that stands for the weights."""

    pretrained = True
    gain = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(self.gain))

    def forward(self, images):
        return self.weight * torch.nn.functional.avg_pool2d(images, 2)


@pytest.fixture
def run(settings, tmp_path):
    def certified(*more):
        small = ("certifier.n=200", "certifier.m=100", "certifier.delta=0.2", "eps=0.1", "device=cpu", "metric=l2")
        kinds = ("dataset=digits", "model._target_=" + f"{__name__}.Thumbnail", f"results.root={tmp_path}")
        plain = settings("experiment=demo", *small, "dataset=digits", "~model.min_face_size", *kinds, *more)
        return certify(plain).parent

    return certified


def test_other_weights_do_not_continue_a_run(run, monkeypatch):
    folder = run("limit=1")
    before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    record = json.loads((folder / "run.json").read_text())
    assert len(record["weights"]) == 16
    monkeypatch.setattr(Thumbnail, "gain", 2.0)
    with pytest.raises(SmoothingError, match=r"run\.json: its rows are of other weights of the model"):
        run("limit=2")
    assert {path.name: path.read_bytes() for path in folder.glob("*.*")} == before
    monkeypatch.setattr(Thumbnail, "gain", 1.0)
    assert run("limit=2") == folder


def test_a_run_from_before_weights_were_kept_is_continued(run):
    folder = run("limit=1")
    record = json.loads((folder / "run.json").read_text())
    del record["weights"]
    (folder / "run.json").write_text(json.dumps(record))
    assert run("limit=2") == folder


def test_buffers_are_hashed():
    norm = torch.nn.BatchNorm1d(3)
    before = state_hash(norm)
    norm.running_mean.add_(1)
    assert state_hash(norm) != before
