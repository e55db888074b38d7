"""The figure of certified intervals: medians over rows, rows without a certificate, the newest runs, the verdicts."""

import json
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from experiments.papers.others import RegressionBounds
from experiments.report.figure import selection


@pytest.fixture
def drawn(tmp_path):
    """drawn({("MedianSmoothing", "", 0.5): {eps: widths}, ...}) is the drawing of these runs."""

    def draw(runs):
        for k, ((certifier, bound, sigma), widths) in enumerate(runs.items()):
            folder = tmp_path / "results" / "mine" / str(k)
            folder.mkdir(parents=True)
            rows = [
                {"index": i, "eps_in": eps, "width": w, "status": "certified" if w < 400 else "failed", "seconds": 1.0}
                for eps, each in widths.items()
                for i, w in enumerate(each)
            ]
            pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
            identity = {"dataset": {"type": "Diabetes"}, "noise": {"type": "Gaussian", "sigma": sigma}, "seed": 0}
            identity["certifier"] = {"type": certifier, "n": 100} | ({"bound": bound} if bound else {"p": 0.5})
            record = {"identity": identity, "config": {"name": f"mine_{certifier}"}, "started": f"2026-01-0{k + 1}"}
            record["input"] = {"norm": "l2", "units": "standard deviations"}
            (folder / "run.json").write_text(json.dumps(record))
        found = selection("regression_bounds", RegressionBounds(["mine"]), tmp_path / "results", ())
        ((stem, of),) = found.drawn.items()
        assert stem == "regression_bounds-diabetes"
        return found.figure.draw(of), found

    return draw


def wide(factor):
    return {eps: factor * eps * np.linspace(9, 11, 41) for eps in (0.1, 0.5)}


def test_medians_and_verdicts(drawn):
    runs = {
        ("MedianSmoothing", "", 0.5): wide(8),
        ("MeanSmoothing", "exact", 0.5): wide(10),
        ("MeanSmoothing", "paper", 0.5): wide(10.01),
        ("MedianSmoothing", "", 0.2): wide(8),
        ("MeanSmoothing", "exact", 0.2): wide(7.9),
    }
    drawing, _ = drawn(runs)
    table = drawing.table.set_index(["sigma", "certified", "eps_in"])["width"]
    assert table[0.5, "mean", 0.5] == pytest.approx(50)
    assert [len(axis.lines) for axis in drawing.figure.axes] == [2, 3]
    claims = drawing.claims.set_index(["quantity", "case"])["within"]
    ratio, ours = (
        "largest ratio of median widths, median / mean",
        "largest ratio of median widths, our band / the paper's",
    )
    assert claims[ratio, "sigma = 0.5"]
    assert not claims[ratio, "sigma = 0.2"]
    assert claims[ours, "sigma = 0.5"]
    assert set(drawing.claims["kind"]) == {"ours"}
    assert "sigma = 0.5, eps_in = 0.1: median 8.0, mean 10.0, mean, band of the paper 10.0" in drawing.notes


def test_a_row_without_a_certificate_is_infinitely_wide(drawn):
    failing = {0.1: np.r_[np.full(20, 3.0), np.full(21, 400.0)]}
    drawing, _ = drawn(
        {("MedianSmoothing", "", 0.5): failing, ("MeanSmoothing", "exact", 0.5): {0.1: np.full(41, 5.0)}}
    )
    assert drawing.table.set_index("certified").loc["median", "width"] == np.inf
    assert not drawing.claims["within"].any()


def test_the_newest_run_of_a_kind_is_drawn(drawn):
    drawing, _ = drawn({("MeanSmoothing", "exact", 0.5): wide(10)})
    assert drawing.table["n"].tolist() == [100, 100]
    assert not len(drawing.claims)


def test_other_quantiles_are_left_out():
    class Run:
        identity: ClassVar = {"certifier": {"type": "MedianSmoothing", "p": 0.9}}

    assert RegressionBounds([]).why_not(Run) == "it certifies another quantile"
