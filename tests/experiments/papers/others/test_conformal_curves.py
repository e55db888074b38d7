"""The figure of conformal sets under attack: coverage and sizes, its verdicts, and the runs that it needs."""

import json

import pandas as pd
import pytest

from experiments.papers.others import ConformalCurves
from experiments.report.figure import selection

SETTINGS = {"n": 100, "p": 0.7, "alpha": 0.1, "beta": 0.01, "held_out": 40, "score": "probability"}
KINDS = ("robust", "smoothed", "base")


@pytest.fixture
def write(tmp_path):
    """write("ConformalAttack", rows, alpha=0.2) writes a run, and returns the folder of the results."""

    def run(certifier, rows, **settings):
        folder = tmp_path / "results" / "mine" / f"{certifier}-{len(settings)}"
        folder.mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
        identity = {
            "dataset": {"type": "Digits"},
            "noise": {"type": "Gaussian", "sigma": 0.25},
            "certifier": {"type": certifier, **SETTINGS, **settings},
            "seed": 0,
        }
        (folder / "run.json").write_text(json.dumps({"identity": identity, "config": {"name": "mine"}}))
        return tmp_path / "results"

    return run


def attacked(held, sizes, classes=10):
    """Rows of 50 examples at two radii: how many have the class, and the sizes, for each kind and radius."""
    return [
        {"index": k, "label": 1, "eps_in": eps, "classes": classes, "n": 100, "seconds": 1.0}
        | {kind: k < held[kind][j] for kind in KINDS}
        | {f"{kind}_size": sizes[kind][j] for kind in KINDS}
        for j, eps in enumerate((0.0, 0.5))
        for k in range(50)
    ]


def drawing_of(results):
    found = selection("conformal_sets", ConformalCurves(["mine"]), results, ())
    ((_, runs),) = found.drawn.items()
    return found.figure.draw(runs)


HELD = {"robust": (46, 47), "smoothed": (45, 20), "base": (46, 10)}
SIZES = {"robust": (1, 2), "smoothed": (1, 1), "base": (1, 1)}


def test_coverage_and_sizes_with_and_without_an_attack(write):
    write("ConformalAttack", attacked(HELD, SIZES))
    plain = [
        {"index": k, "label": 1, "eps_in": 0.5, "classes": "1 3" if k < 48 else "", "size": 2, "seconds": 1.0}
        for k in range(50)
    ]
    drawing = drawing_of(write("ConformalSets", plain))
    table = drawing.table.set_index(["sets", "eps_in"])
    assert table["coverage"].tolist() == [0.92, 0.94, 0.9, 0.4, 0.92, 0.2, 0.96]
    assert table.loc[("robust", 0.5), "size"] == 2
    assert table.loc[("robust, no attack", 0.5), "low"] < 0.96 < table.loc[("robust, no attack", 0.5), "high"]
    assert [len(axis.lines) for axis in drawing.figure.axes] == [5, 4]  # the line of what is promised
    assert drawing.claims["within"].tolist() == [True] * 4


@pytest.mark.parametrize(
    ("held", "sizes", "within"),
    [
        ({"robust": (46, 40)}, {}, [True, False, True, True]),  # 80 % at the largest radius
        ({"smoothed": (45, 47)}, {}, [True, True, False, True]),
        ({"robust": (50, 50)}, {"robust": (10, 10)}, [False] * 4),  # every class in every set
    ],
)
def test_verdicts_can_fail(write, held, sizes, within):
    assert (
        drawing_of(write("ConformalAttack", attacked(HELD | held, SIZES | sizes))).claims["within"].tolist() == within
    )


def test_an_attack_is_needed_and_settings_are_not_mixed(write):
    plain = [{"index": 0, "label": 1, "eps_in": 0.5, "classes": "1", "size": 1, "seconds": 1.0}]
    found = selection("conformal_sets", ConformalCurves(["mine"]), write("ConformalSets", plain), ())
    assert not found.drawn
    assert "certifier=conformal_attack" in found.left_out[0].why
    results = write("ConformalAttack", attacked(HELD, SIZES), alpha=0.2)
    found = selection("conformal_sets", ConformalCurves(["mine"]), results, ())
    ((_, runs),) = found.drawn.items()
    assert [run.identity["certifier"]["type"] for run in runs] == ["ConformalAttack"]
