"""The figure of certified masks: what is written below each mask, and which run is drawn."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.papers.ours import CertifiedMasks
from experiments.report.figure import selection
from experiments.runs.reader import StoredRun
from smoothing import CenterDraws


@pytest.fixture
def run(tmp_path):
    """A run of three photographs: certified, certified with nothing to say, abstained."""
    rows = [
        {"index": i, "eps_in": eps, "eps_out": out * eps / 0.1, "status": status, "seconds": 1.0}
        for i, out, status in ((0, 0.3, "certified"), (1, 1.5, "certified"), (2, np.inf, "abstained"))
        for eps in (0.1, 0.2)
    ]
    folder = tmp_path / "results" / "masks" / "one"
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
    identity = {"metric": {"type": "MaskJaccard"}, "noise": {"type": "Gaussian", "sigma": 0.1}}
    config = {"name": "masks", "dataset": {"_target_": "experiments.data.People"}}
    made = StoredRun(folder, {"identity": identity | {"certifier": {}}, "config": config})
    mask = torch.zeros(1, 64, 64)
    mask[:, :32] = 1
    made.__dict__["draws"] = {i: draws_of(mask) for i in range(3)}
    return made


def draws_of(mask):
    return CenterDraws(mask, mask, 0.1, n=10, inside=10, distances=np.full(3, 0.1), smoothing_error=0.0)


def test_each_row_says_what_is_certified(run):
    drawing = CertifiedMasks(["masks"], sigma=0.1, rows=3).draw([run])
    texts = [axis.get_xlabel() for axis in drawing.figure.axes]
    assert texts == ["", "", "IoU at least 0.70", "", "", "nothing certified", "", "", ""]
    assert drawing.figure.axes[8].texts[0].get_text() == "abstains"
    table = drawing.table.set_index("index")
    assert table["iou"].tolist()[:2] == pytest.approx([0.7, -0.5])
    assert table["share"].tolist() == [0.5] * 3
    dark = np.asarray(drawing.figure.axes[1].images[0].get_array())
    light = np.asarray(drawing.figure.axes[0].images[0].get_array())
    assert np.allclose(dark[:128], light[:128])
    assert np.allclose(dark[128:], light[128:] * 0.25)


def test_runs_without_draws_or_with_another_metric_are_named(run):
    chosen = CertifiedMasks(["masks"], sigma=0.1, rows=3)
    assert not chosen.why_not(run)
    run.__dict__["draws"] = {}
    assert "its draws/ are missing" in chosen.why_not(run)
    other = StoredRun(run.folder, run.record | {"identity": {"metric": {"type": "Hamming"}}})
    assert chosen.why_not(other) == "metric Hamming, and the figure takes MaskJaccard"
    assert selection("person_masks", chosen, run.folder.parents[2] / "nowhere", ()).found == 0
