"""The curves of random ablation: whole radii, a curve for each number of kept pixels, the paper's numbers on MNIST."""

import json

import pandas as pd
import pytest

from experiments.papers.others import AblationCurves
from experiments.papers.others.ablation import predicted_right
from experiments.report.figure import selection


@pytest.fixture
def drawn(tmp_path):
    """drawn("MNIST", {45: [(radius, correct), ...]}) is the drawing of runs that keep so many pixels."""

    def draw(dataset, runs):
        for keep, rows in runs.items():
            folder = tmp_path / "results" / "mine_ablation" / str(keep)
            folder.mkdir(parents=True)
            table = [
                {"index": k, "label": k % 2, "predict": k % 2 if right else 7, "radius": radius, "correct": right}
                | {"status": "certified" if radius else "abstained", "seconds": 1.0, "n": 100}
                | {"guess": k % 2 if right else 7, "n_a": 90, "n_b": 5}
                for k, (radius, right) in enumerate(rows)
            ]
            pd.DataFrame(table).to_csv(folder / "certificates.csv", index=False)
            identity = {"dataset": {"type": dataset}, "noise": {"type": "Ablation", "keep": keep}, "seed": 0}
            identity |= {
                "certifier": {"type": "Certify", "n": 100, "alpha": 0.05},
                "training": {"epochs": 1, "weights": str(keep)},
            }
            (folder / "run.json").write_text(json.dumps({"identity": identity, "config": {"name": "mine_ablation"}}))
        found = selection("ablation_curves", AblationCurves(["mine_ablation"]), tmp_path / "results", ())
        ((_, of),) = found.drawn.items()
        return found.figure.draw(of)

    return draw


def test_accuracy_is_drawn_at_whole_radii(drawn):
    drawing = drawn("Digits", {8: [(2.0, True), (0.0, False), (5.0, False), (1.0, True)], 16: [(3.0, True)] * 4})
    table = drawing.table[drawing.table["keep"] == 8].set_index("radius")["accuracy"]
    assert table.loc[[0, 1, 2, 3]].tolist() == [0.5, 0.5, 0.25, 0.0]
    line = drawing.figure.axes[0].lines[0]
    assert line.get_xdata()[:4].tolist() == [0, 1, 2, 3]
    assert line.get_ydata()[:4].tolist() == [50, 50, 25, 0]
    assert "8 kept: accuracy 50.0% at radius 0, 50.0% of Predict, median radius 0.5, ACR 0.75" in drawing.notes
    assert not len(drawing.claims)


@pytest.mark.parametrize(("radius", "holds"), [(8.0, True), (5.0, False)])
def test_the_papers_numbers_are_judged_on_mnist(drawn, radius, holds):
    rows = [(radius, True)] * 97 + [(0.0, False)] * 3
    claims = drawn("MNIST", {45: rows}).claims.set_index("quantity")["within"]
    assert claims.to_dict() == {"median radius": holds, "accuracy of Predict": True}


def test_predict_may_be_right_where_nothing_is_certified_but_not_by_chance():
    rows = [(3, 3, 40, 10), (3, 3, 30, 25), (3, 3, 10, 40), (3, 5, 90, 5), (3, 3, 90, 5)]
    table = pd.DataFrame(rows, columns=["label", "guess", "n_a", "n_b"]).assign(n=100)
    assert predicted_right(table, alpha=0.05) == 2 / 5  # the first and the last; 30 of 55 may be chance
