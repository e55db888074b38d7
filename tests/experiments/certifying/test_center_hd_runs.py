"""A run of Smooth-HD: its rows, and other eps from its stored draws."""

import pandas as pd
import pytest
import torch
from PIL import Image

from experiments.certifying import certification
from experiments.config.check import checked_group
from experiments.data import Faces
from experiments.runs.reader import find_runs
from smoothing import CenterSmoothingHD, SettingError

SMALL = ("certifier=center_hd", "certifier.n=80", "certifier.m=60", "certifier.delta=0.3", "certifier.candidates=8")


@pytest.fixture
def run(settings, tmp_path):
    """Certify a small photograph: run("eps=0.02") -> the table's path."""
    pixels = torch.nn.functional.interpolate(Faces()[0][None], size=(72, 60), mode="area")[0]
    (tmp_path / "photographs").mkdir()
    Image.fromarray((pixels * 255).byte().permute(1, 2, 0).numpy()).save(tmp_path / "photographs" / "0.png")

    def certified(*overrides):
        data = ("dataset=folder", f"dataset.root={tmp_path / 'photographs'}", f"results.root={tmp_path / 'results'}")
        return certification.certify(settings(*data, *SMALL, "limit=null", *overrides))

    return certified


def test_other_eps_are_read_off_the_same_draws(run, monkeypatch):
    path = run("eps=0.02")
    monkeypatch.setattr(CenterSmoothingHD, "draw", lambda *args, **kwargs: pytest.fail("sampled again"))
    assert run("eps=[0.02,0.05]") == path
    table = pd.read_csv(path)
    assert table["eps_in"].tolist() == [0.02, 0.05]
    assert (table["status"] == "certified").all()
    assert (table["failure_probability"] > 0.01).all()
    assert (table["failure_probability"] < 0.015).all()
    assert table["eps_out"].tolist() == pytest.approx((3 * table["distance_quantile"]).tolist(), rel=1e-12)
    (found,) = find_runs(path.parent)
    assert found.identity["certifier"]["type"] == "CenterSmoothingHD"
    assert found.identity["certifier"]["candidates"] == 8
    assert found.draws[0].n == 80


def test_too_few_candidates_are_refused_before_the_first_sample(run):
    with pytest.raises(SettingError, match=r"certifier\.candidates: 2 may all miss .*; at least 6 are needed"):
        run("eps=0.02", "certifier.candidates=2")


def test_the_papers_settings_are_the_defaults(settings):
    certifier = settings("certifier=center_hd", "experiment=imagenet_lpips").certifier
    expected = {"candidates": 30, "n": 2000, "m": 10_000, "delta": 0.08, "alpha1": 0.005, "alpha2": 0.005}
    assert expected.items() <= certifier.arguments.items()


def test_random_weights_show_in_the_metrics_description():
    node = {"_target_": "smoothing.LPIPS"}
    assert checked_group("metric", node).get("weights") == "hub"
    assert checked_group("metric", node | {"weights": "random"}).get("weights") == "random"
