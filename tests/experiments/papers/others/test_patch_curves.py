"""The figure of patches: sides in whole pixels, a panel for bands and one for blocks, classes and outputs."""

import json
from math import inf

import pandas as pd
import pytest

from experiments.papers.others import PatchCurves
from experiments.report.figure import selection

EXACT = {"type": "ExactCertify"}
CENTER = {"type": "ExactCenterSmoothing"}


@pytest.fixture
def drawn(tmp_path):
    """drawn({("BandAblation", 2): rows}, certifier) is the drawing of runs with such rows."""

    def draw(runs, certifier):
        for (kind, size), rows in runs.items():
            folder = tmp_path / "results" / "digits_patches" / f"{kind}{size}"
            folder.mkdir(parents=True)
            pd.DataFrame(rows).assign(seconds=1.0, failure_probability=0.0).to_csv(
                folder / "certificates.csv", index=False
            )
            identity = {"dataset": {"type": "Digits"}, "noise": {"type": kind, "size": size}, "certifier": certifier}
            identity |= {"metric": {"type": "TotalVariation"}}
            config = {
                "name": "digits_patches",
                "dataset": {"_target_": "experiments.data.Digits"},
                "metric": {"_target_": "smoothing.metrics.TotalVariation", "span": 1.0},
            }
            (folder / "run.json").write_text(json.dumps({"identity": identity | {"seed": 0}, "config": config}))
        found = selection("patch_curves", PatchCurves(["digits_patches"]), tmp_path / "results", ())
        ((_, of),) = found.drawn.items()
        return found.figure.draw(of)

    return draw


def classes(radii, right=lambda k: True):
    return [
        {"index": k, "label": k % 2, "predict": k % 2, "radius": radius, "correct": right(k), "status": "certified"}
        for k, radius in enumerate(radii)
    ]


def outputs(radii):
    return [
        {"index": k, "eps_in": side, "eps_out": radius, "status": "certified" if radius < inf else "failed"}
        | {"vacuous": False, "smoothing_error": 5.0 + k}
        for side, of in radii.items()
        for k, radius in enumerate(of)
    ]


def test_the_certified_accuracy_at_each_side(drawn):
    runs = {
        ("BandAblation", 2): classes([2.0, 1.0, 0.0, 1.0] * 25, lambda k: k % 4 != 3),
        ("BlockAblation", 3): classes([3.0, 2.0, 2.0, 1.0] * 25),
        ("BlockAblation", 2): classes([1.0] * 100, lambda k: k % 4 > 0),
    }
    drawing = drawn(runs, EXACT)
    table = drawing.table.set_index(["kind", "size", "side"])["value"]
    assert table["BandAblation", 2].tolist() == [75, 50, 25, 0]
    assert table["BlockAblation", 3].tolist() == [100, 100, 75, 25, 0]
    assert [axis.get_title() for axis in drawing.figure.axes] == ["bands of columns", "blocks"]
    assert "blocks, 3 x 3: average certified side 2.000" in drawing.notes
    held = drawing.claims.set_index("claim")["within"]
    assert held.to_dict() == {
        "blocks certify larger patches than bands": True,
        "a larger part is no less accurate without a patch": True,
    }
    assert set(drawing.claims["kind"]) == {"ours"}


def test_the_median_output_radius_at_each_side(drawn):
    runs = {
        ("BandAblation", 2): outputs({1: [30.0, 31.0, 32.0], 2: [40.0, inf, inf]}),
        ("BlockAblation", 3): outputs({1: [10.0, 11.0, 12.0], 2: [20.0, 21.0, inf]}),
    }
    drawing = drawn(runs, CENTER)
    table = drawing.table.set_index(["kind", "side"])["value"]
    assert table["BandAblation"].tolist() == [31, inf]
    assert table["BlockAblation"].tolist() == [11, 21]
    assert (drawing.table["smoothing_error"] == 6).all()
    assert drawing.notes == ["largest failure probability of a certificate: 0"]
    assert drawing.claims[["quantity", "ours", "within"]].values.tolist() == [
        ["least median eps_out of blocks over that of bands", pytest.approx(11 / 31), True]
    ]


def test_a_run_without_certificates_passes_no_check(drawn):
    runs = {(kind, 2): outputs({1: [inf] * 3}) for kind in ("BandAblation", "BlockAblation")}
    assert not drawn(runs, CENTER).claims["within"].any()


def test_runs_of_one_class_pass_no_check(drawn):
    one = [row | {"predict": 0, "correct": row["label"] == 0} for row in classes([3.0] * 100)]
    runs = {("BandAblation", 2): classes([1.0] * 100), ("BlockAblation", 2): one, ("BlockAblation", 3): one}
    assert not drawn(runs, EXACT).claims["within"].any()
