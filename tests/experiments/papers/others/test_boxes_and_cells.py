"""The figures of certified boxes and of certified cells: what they read from the draws, and the least overlap."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from torchvision.ops import box_iou

from experiments.machine.words import at_least
from experiments.papers.others import CertifiedCells, MedianBoxes
from experiments.papers.others.median_boxes import least_iou
from experiments.report.figure import selection
from smoothing.quantile_guarantee import QuantileDraws
from smoothing.segment_guarantee import SegmentDraws


def test_the_least_overlap_is_at_a_corner():
    """No box between the bounds, on a fine grid, overlaps less."""
    random = np.random.default_rng(0)
    for _ in range(40):
        corner, size = random.random(2) * 10, 5 + random.random(2) * 10
        box = np.concatenate([corner, corner + size])
        lower = box + random.normal(0, 1.5, 4) - 1
        upper = lower + random.random(4) * 3
        found = least_iou(box, lower, upper)
        grid = np.array(list(product(*(np.linspace(a, b, 6) for a, b in zip(lower, upper, strict=True)))))
        valid = grid[(grid[:, 2] > grid[:, 0]) & (grid[:, 3] > grid[:, 1])]
        overlaps = box_iou(torch.from_numpy(box)[None], torch.from_numpy(valid))[0]
        assert found <= float(overlaps.min()) + 1e-12
        if len(valid) == len(grid):
            assert found == pytest.approx(float(overlaps.min()))


@pytest.mark.parametrize(("shift", "iou"), [(0.0, 1.0), (10.0, 0.0)])
def test_the_overlap_of_a_single_box(shift, iou):
    box = np.array([0.0, 0.0, 10.0, 10.0])
    assert least_iou(box, box + shift, box + shift) == iou


@pytest.fixture
def write(tmp_path):
    """write("MedianSmoothing", model, dataset, rows, draws) writes a run at sigma = 0.1."""

    def run(certifier, model, dataset, rows, draws):
        folder = tmp_path / "results" / "mine" / "a"
        (folder / "draws").mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
        for index, drawn in draws.items():
            arrays = {name: value for name, value in vars(drawn).items() if name != "origin"}
            np.savez(folder / "draws" / f"{index}.npz", seconds=1.0, **arrays)
        identity = {
            "dataset": {"type": dataset},
            "model": {"type": model},
            "noise": {"type": "Gaussian", "sigma": 0.1},
            "certifier": {"type": certifier, "alpha": 0.001},
            "seed": 0,
        }
        config = {"name": "mine", "dataset": {"_target_": f"experiments.data.{dataset}"}}
        (folder / "run.json").write_text(json.dumps({"identity": identity, "config": config}))
        return tmp_path / "results"

    return run


def test_boxes_are_read_from_the_order_statistics(write):
    base = np.array([50.0, 60.0, 130.0, 160.0])
    outputs = base + np.linspace(-2, 2, 101)[:, None]
    row = {"index": 0, "eps_in": 0.05, "width": 2.0, "not_finite": 0.0, "seconds": 1.0, "status": "certified"}
    rows = [row | {"lower_rank": 26, "upper_rank": 76}, row | {"eps_in": 0.1, "lower_rank": 1, "upper_rank": 101}]
    rows.append(row | {"index": 1, "status": "failed", "not_finite": 0.5, "lower_rank": 26, "upper_rank": 76})
    drawn = QuantileDraws(outputs, base)
    results = write("MedianSmoothing", "FaceDetector", "Portraits", rows, {0: drawn, 1: drawn})
    found = selection("median_boxes", MedianBoxes(["mine"], 0.1, 0.05), results, ())
    ((_, of),) = found.drawn.items()
    drawing = found.figure.draw(of)
    table = drawing.table.set_index("index")
    assert table.loc[0, "iou"] == pytest.approx(least_iou(base, base - 1, base + 1))
    assert np.isnan(table.loc[1, "iou"])
    below = [axis.get_xlabel() for axis in drawing.figure.axes]
    assert below == [f"IoU at least {at_least(table.loc[0, 'iou'])}", "not certified:\nno face in 50%"]
    assert [len(axis.patches) for axis in drawing.figure.axes] == [3, 1]
    around = drawing.figure.axes[0].patches[1].get_bbox().extents
    assert around == pytest.approx([49, 59, 131, 161])


def test_cells_are_certified_from_the_votes(write):
    classes = np.zeros((1, 4, 4), dtype=np.int64)
    classes[0, :2] = 1
    counts = np.full((1, 4, 4), 1000)
    counts[0, 0, 0] = 600
    rows = [{"index": 0, "eps_in": eps, "certified": 0.5, "seconds": 1.0, "status": "certified"} for eps in (0.05, 0.1)]
    drawn = SegmentDraws(classes, counts, 100, 1000)
    results = write("SegmentSmoothing", "PersonSegmenter", "People", rows, {0: drawn})
    found = selection("person_segments", CertifiedCells(["mine"], 0.1, 3), results, ())
    ((_, of),) = found.drawn.items()
    drawing = found.figure.draw(of)
    assert drawing.table["certified"].tolist() == [15 / 16, 15 / 16]
    assert drawing.table["person"].tolist() == [7 / 16, 7 / 16]
    image = drawing.figure.axes[1].images[0].get_array()
    assert image[0, 0].tolist() == pytest.approx([0.1, 0.75, 0.85])  # abstains there
    assert image[100, 200].tolist() == pytest.approx(drawing.figure.axes[0].images[0].get_array()[100, 200].tolist())


def test_runs_without_draws_say_so(write):
    rows = [{"index": 0, "eps_in": 0.05, "certified": 0.5, "seconds": 1.0, "status": "certified"}]
    results = write("SegmentSmoothing", "PersonSegmenter", "People", rows, {})
    found = selection("person_segments", CertifiedCells(["mine"], 0.1, 3), results, ())
    assert not found.drawn
    assert "draws/ are missing" in found.left_out[0].why
