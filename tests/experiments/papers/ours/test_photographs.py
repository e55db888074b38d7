"""The figure of certified photographs: one row of its table for each photograph and noise level."""

import pytest
import torch

from experiments.data import Digits
from experiments.papers.ours import CertifiedPhotographs
from experiments.report.figure import selection
from smoothing import SettingError


@pytest.fixture
def runs(write_run, tmp_path):
    """Digits 0 to 2 at two noise levels: right, wrong, and abstained at the larger one."""

    def row(index, predict, radius, status="certified"):
        return {"index": index, "label": 0, "predict": predict, "radius": radius, "status": status, "seconds": 1.0}

    for sigma in (0.5, 0.25):
        last = row(2, -1, 0.0, "abstained") if sigma == 0.5 else row(2, 7, 0.1)
        rows = [row(0, 1, sigma), row(1, 3, 0.2), last]
        write_run(tmp_path / "results" / "photos" / str(sigma), rows, {"type": "Certify"}, sigma, None, weights="one")
    return tmp_path / "results"


def drawn(runs, indices):
    chosen = CertifiedPhotographs(["photos"], indices)
    return selection("photographs", chosen, runs, ())


def test_each_run_has_a_column_and_each_photograph_a_row(runs):
    found = drawn(runs, [0, 2])
    ((name, of),) = found.drawn.items()
    for run in of:
        run.record["config"]["dataset"] = {"_target_": "experiments.data.Digits"}
        run.record["seed"] = 0
    drawing = found.figure.draw(of)
    assert name == "photographs-photos"
    table = drawing.table.set_index(["index", "sigma"])
    assert list(table.index) == [(0, 0.25), (0, 0.5), (2, 0.25), (2, 0.5)]
    assert table.loc[(0, 0.5), "radius"] == 0.5
    assert table.loc[(0, 0.5), "correct"]
    assert not table.loc[(2, 0.5), "correct"]
    below = [axis.get_xlabel() for axis in drawing.figure.axes]
    assert below == ["1", "1\nradius 0.25", "1\nradius 0.50", "6", "7\nradius 0.10", "abstains"]
    shown = torch.as_tensor(drawing.figure.axes[0].images[0].get_array().data)
    assert torch.equal(shown.reshape(1, 8, 8), Digits()[0])


def test_photographs_that_no_run_has_are_left_out(runs):
    found = drawn(runs, [9, 0])
    ((_, of),) = found.drawn.items()
    assert len(of) == 2
    for run in of:
        run.record["config"]["dataset"] = {"_target_": "experiments.data.Digits"}
        run.record["seed"] = 0
    assert set(found.figure.draw(of).table["index"]) == {0}


def test_runs_without_any_of_the_photographs_are_named(runs):
    found = drawn(runs, [8, 9])
    assert not found.drawn
    assert {one.why for one in found.left_out} == {"it has certified none of figure.indices"}


def test_no_indices_are_refused():
    with pytest.raises(SettingError, match=r"figure\.indices"):
        CertifiedPhotographs(["photos"], [])
