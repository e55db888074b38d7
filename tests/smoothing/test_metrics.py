"""Distances: compared with independent implementations, for the empty set, and for outputs that are not finite."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from smoothing import L2, Jaccard, TotalVariation
from smoothing.metrics import Metric
from smoothing.metrics.angular import directions

EMPTY = [0.0, 0.0, 0.0, 0.0]


def random_boxes(n):
    corner = torch.rand(n, 2) * 100
    return torch.cat([corner, corner + torch.rand(n, 2) * 80 + 0.1], dim=1)


def rasterised_jaccard(a, b, size=40):
    """Count the unit cells of integer boxes, independently of the formula under test."""

    def cells(box):
        grid = np.zeros((size, size), dtype=bool)
        x1, y1, x2, y2 = (int(v) for v in box)
        grid[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
        return grid

    either = (cells(a) | cells(b)).sum()
    return 1 - (cells(a) & cells(b)).sum() / either if either else 0.0


def test_jaccard_against_torchvision():
    a, b = random_boxes(200), random_boxes(150)
    assert torch.allclose(Jaccard().pairwise(a, b), 1 - box_iou(a.double(), b.double()), atol=1e-12)
    assert torch.allclose(Jaccard()(a[:150], b), 1 - box_iou(a[:150].double(), b.double()).diagonal(), atol=1e-12)


def test_jaccard_against_counted_cells():
    boxes = torch.randint(0, 40, (300, 4)).float()  # half of them empty: x2 <= x1 or y2 <= y1
    pairs = boxes.view(150, 2, 4)
    expected = [rasterised_jaccard(a.tolist(), b.tolist()) for a, b in pairs]
    assert Jaccard()(pairs[:, 0], pairs[:, 1]).tolist() == pytest.approx(expected, abs=1e-12)


def test_jaccard_of_the_empty_set():
    boxes = torch.tensor([EMPTY, [1, 1, 2, 2], [5, 5, 4, 4], [3, 3, 3, 9]], dtype=torch.float32)
    expected = [[0, 1, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]
    assert Jaccard().pairwise(boxes, boxes).tolist() == expected


def test_jaccard_obeys_the_triangle_inequality():
    boxes = torch.cat([random_boxes(60), torch.tensor([EMPTY]), torch.randint(0, 9, (60, 4)).float()])
    d = Jaccard().pairwise(boxes, boxes)
    assert (d[:, :, None] <= d[:, None, :] + d.T[None, :, :] + 1e-12).all()
    assert ((d >= 0) & (d <= Jaccard().largest)).all()


def test_l2_against_numpy_and_for_close_outputs():
    a, b = torch.randn(30, 3, 4, 4), torch.randn(20, 3, 4, 4)
    flat = a.numpy().reshape(30, 1, -1).astype(np.float64) - b.numpy().reshape(1, 20, -1).astype(np.float64)
    assert np.allclose(L2().pairwise(a, b).numpy(), np.sqrt((flat**2).sum(-1)), rtol=1e-12)
    close = torch.tensor([[1000.0]], dtype=torch.float64)
    assert float(L2()(close, close + 1e-9)[0]) == pytest.approx(1e-9, rel=1e-3)


@pytest.mark.parametrize("metric", [Jaccard(), L2()])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_an_output_that_is_not_finite_is_outside_every_ball(metric, bad):
    good, broken = torch.tensor([[1.0, 1.0, 2.0, 2.0]]), torch.tensor([[1.0, 1.0, bad, 2.0]])
    assert metric(good, broken).tolist() == [torch.inf]
    assert metric(broken, broken).tolist() == [torch.inf]
    assert metric.pairwise(torch.cat([good, broken]), good).flatten().tolist() == [0.0, torch.inf]


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="different shapes"):
        L2()(torch.zeros(2, 3), torch.zeros(2, 4))


def test_a_distance_that_is_no_number_is_outside_every_ball():
    class Broken(Metric):
        def _distance(self, a, b):
            return torch.full((len(a),), float("nan"))

    a = torch.zeros(3, 2)
    assert torch.equal(Broken()(a, a), torch.full((3,), torch.inf, dtype=torch.float64))
    assert torch.equal(Broken().pairwise(a, a), torch.full((3, 3), torch.inf, dtype=torch.float64))
    large = torch.tensor([1.7e308, -1.7e308, 1.7e308], dtype=torch.float64).view(1, 1, 1, 3)
    assert not TotalVariation()(large, large).isnan().any()


def test_a_direction_does_not_depend_on_the_other_outputs(monkeypatch):
    """CUDA's reductions add in an order that depends on the number of rows. Emulated here: another order for each."""

    def in_another_order(rows, dim=1, keepdim=False):
        parts = rows.split(1 + len(rows) % 7, dim=dim)
        return torch.stack([part.cumsum(dim)[:, -1] for part in parts]).cumsum(0)[-1].view(-1, *[1] * keepdim)

    def norm(rows, dim=1, keepdim=False):
        return in_another_order(rows.square(), dim, keepdim).sqrt()

    outputs = torch.rand(300, 784, generator=torch.Generator().manual_seed(0)) - 0.5
    assert any(norm(outputs.double())[i] != norm(outputs.double()[i : i + 1])[0] for i in range(300))
    monkeypatch.setattr(torch.linalg, "vector_norm", norm)
    monkeypatch.setattr(torch.Tensor, "sum", in_another_order)
    monkeypatch.setattr(torch, "sum", in_another_order)
    monkeypatch.setattr(torch, "norm", norm)
    among = directions(outputs)
    assert all(torch.equal(among[i], directions(outputs[i : i + 1])[0]) for i in range(300))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 784, 1000])
def test_a_direction_is_the_unit_vector(k):
    outputs = torch.rand(20, k, generator=torch.Generator().manual_seed(k), dtype=torch.float64) - 0.5
    exact = outputs.numpy().astype(np.longdouble)
    exact /= np.sqrt((exact**2).sum(axis=1, keepdims=True))
    assert np.abs(directions(outputs).numpy() - exact).max() < 4e-16
