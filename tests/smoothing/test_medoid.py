"""The center with a screen is the center without one, to the last bit. A screen never calls a near point far."""

import math

import pytest
import torch

from smoothing import L2, Angular, Jaccard, Metric, TotalVariation, medoid
from smoothing.medoid import best_center, lower_median
from smoothing.metrics import screens
from smoothing.metrics.screens import Manhattan

METRICS = [L2(), TotalVariation(), Angular()]


def images(n, spread=1.0):
    """Smooth images of 2 x 6 x 5 pixels that scatter around one, unevenly."""
    base, change = torch.randn(8, 2, 6, 5), torch.randn(n, 8)
    return torch.einsum("nk,kcij->ncij", change * torch.rand(n, 1), base) * spread


def with_duplicates():
    some = images(150)
    return torch.cat([some, some[:75], some[:75]])


def with_broken_outputs():
    some = images(300)
    some[::7, 0, 2, 2] = torch.nan
    some[3, 1, 0, 0] = -torch.inf
    return some


CASES = {
    "scattered": lambda: images(300),
    "an even number less one": lambda: images(299),
    "bfloat16": lambda: images(300).bfloat16(),
    "bfloat16 and close": lambda: (1 + 0.01 * images(300)).bfloat16(),
    "float64": lambda: images(300).double(),
    "a large offset": lambda: 1e6 + images(300),
    "a large offset, close": lambda: 1e6 + 1e-8 * images(300).double(),
    "close": lambda: images(1) + 1e-6 * images(300),
    "all the same": lambda: images(1).expand(300, -1, -1, -1).clone(),
    "all zero": lambda: torch.zeros(300, 1, 4, 4),
    "some zero": lambda: images(300) * (torch.arange(300) % 3 > 0).view(300, 1, 1, 1),
    "each four times": with_duplicates,
    "two clusters": lambda: torch.cat([images(151), 50 + 3 * images(149)]),
    "an outlier": lambda: torch.cat([images(299), 1e30 * images(1)]),
    "an outlier, and squares that vanish": lambda: torch.cat([1e11 * images(299), 1e30 * images(1)]),
    "two clusters, far apart and close": lambda: (
        torch.cat([images(1), 1 + images(1)]).double().repeat(150, 1, 1, 1) + 1e-9 * images(300).double()
    ),
    "tiny": lambda: 1e-30 * images(300),
    "huge": lambda: 1e30 * images(300),
    "huge in float64": lambda: 1e200 * images(300).double(),
    "pixels 0 and 1": lambda: (images(300) > 0).float(),
    "not finite": with_broken_outputs,
    "half not finite": lambda: torch.where(torch.arange(300).view(300, 1, 1, 1) % 2 == 0, torch.nan, images(300)),
    "most not finite": lambda: torch.where(torch.arange(300).view(300, 1, 1, 1) < 8, images(300), torch.nan),
}


def without_candidates(metric):
    return type("OutputsOnly", (type(metric),), {"candidates": lambda self, outputs: outputs[:0]})()


def plainly(outputs, metric):
    """The first of the least medians of all exact distances."""
    points = torch.cat([outputs, metric.candidates(outputs)])
    medians = lower_median(metric.pairwise(points, outputs))
    best = int(medians.argmin())
    return points[best], float(medians[best])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(medoid, "LEAST_SCREENED", 2)
    monkeypatch.setattr(medoid, "SIDE", 64)


@pytest.mark.parametrize("metric", [*METRICS, *map(without_candidates, METRICS)])
@pytest.mark.parametrize("case", CASES)
def test_the_center_is_that_of_all_exact_distances(metric, case):
    outputs = CASES[case]()
    expected, found = plainly(outputs, metric), best_center(outputs, metric)
    assert found[1] == expected[1]
    assert torch.equal(found[0].nan_to_num(), expected[0].nan_to_num())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [2, 3, 63, 64, 65, 127, 128, 129, 256, 320])
def test_any_number_of_blocks(metric, n):
    metric, outputs = without_candidates(metric), images(n)
    expected, found = plainly(outputs, metric), best_center(outputs, metric)
    assert found[1] == expected[1]
    assert torch.equal(found[0], expected[0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", [name for name in CASES if "not finite" not in name])
def test_nothing_near_is_called_far(metric, case):
    outputs = CASES[case]()
    screen, rows = metric.screen(outputs), torch.arange(len(outputs))
    exact = metric.pairwise(outputs, outputs)[screen.order][:, screen.order]
    for share in (0.01, 0.2, 0.5, 0.9):
        radius = float(exact.flatten().sort().values[int(share * exact.numel())])
        for reach in (radius, math.nextafter(radius, -1.0), 0.0):
            assert (exact[screen.far(rows, rows, reach) > 0] > reach).all()


@pytest.mark.parametrize("metric", METRICS)
def test_most_that_is_far_is_called_far(metric):
    outputs = images(300)
    screen, rows = metric.screen(outputs), torch.arange(300)
    exact = metric.pairwise(outputs, outputs)[screen.order][:, screen.order]
    radius = float(exact.median())
    assert screen.far(rows, rows, radius).sum() > 0.95 * (exact > radius).sum()


@pytest.mark.parametrize("metric", METRICS)
def test_a_screen_spares_most_exact_distances(metric, monkeypatch):
    outputs, counted = images(800), []
    pairwise = Metric.pairwise
    monkeypatch.setattr(Metric, "pairwise", lambda self, a, b: counted.append(len(a) * len(b)) or pairwise(self, a, b))
    best_center(outputs, without_candidates(metric))
    assert sum(counted) < 0.1 * 800**2


def test_points_near_the_mean_that_are_no_center_are_outdone():
    """A ring and a cluster outside of it. The medoid is in the cluster; the points nearest to the mean are not."""
    angle = torch.rand(400) * 2 * math.pi
    ring = torch.stack([angle.cos(), angle.sin()], dim=1)
    knot = torch.tensor([3.0, 0.0]) + 0.1 * torch.randn(420, 2)
    outputs, metric = torch.cat([ring, knot]), without_candidates(L2())
    found = best_center(outputs, metric)
    assert found[1] == plainly(outputs, metric)[1]
    assert float(found[0][0]) > 2.5


def test_a_metric_with_another_distance_does_not_take_over_a_screen():
    class Last(L2):
        def _distance(self, a, b):
            return (a - b).abs().flatten(1)[:, -1]

    outputs = images(300)
    assert Last().screen(outputs) is Jaccard().screen(outputs) is None
    assert best_center(outputs, Last())[1] == plainly(outputs, Last())[1]


@pytest.mark.parametrize("metric", [L2(), Angular()])
def test_products_in_bfloat16_are_not_relied_upon(metric):
    """A user's setting may round the factors of a float32 product. Then the screen computes in float64."""
    outputs = images(300)
    assert metric.screen(outputs).points.dtype == torch.float32
    before = torch.backends.mkldnn.matmul.fp32_precision
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        assert metric.screen(outputs).points.dtype == torch.float64
        assert best_center(outputs, metric)[1] == plainly(outputs, metric)[1]
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before


def test_too_many_terms_to_bound_their_sum_leave_all_undecided(monkeypatch):
    assert screens._higham_gamma(torch.empty(0, 2_000_000)) == math.inf
    assert screens._higham_gamma(torch.empty(0, 784)) < 1e-4
    monkeypatch.setattr(screens, "_higham_gamma", lambda points: math.inf)
    for metric in METRICS:
        assert metric.screen(images(20)).far(torch.arange(20), torch.arange(20), 1e-9).sum() == 0


@pytest.mark.parametrize("metric", METRICS)
def test_a_screen_made_in_parts_is_the_same(metric, monkeypatch):
    outputs, rows = images(200), torch.arange(200)
    whole = metric.screen(outputs)
    monkeypatch.setattr(screens, "NUMBERS_AT_ONCE", 500)
    parts = metric.screen(outputs)
    assert torch.equal(parts.order, whole.order)
    radius = float(metric.pairwise(outputs, outputs).median())
    assert torch.equal(parts.far(rows, rows, radius), whole.far(rows, rows, radius))


@pytest.mark.gpu
@pytest.mark.parametrize("metric", METRICS)
def test_the_center_on_a_gpu_is_that_of_all_exact_distances(metric):
    outputs = images(2000).cuda()
    expected, found = plainly(outputs, metric), best_center(outputs, metric)
    assert found[1] == expected[1]
    assert torch.equal(found[0], expected[0])


def test_numbers_that_float32_rounds_to_its_least_ones_are_not_called_far():
    tiny = 0.8e-45
    outputs = torch.tensor([[1.0, tiny], [1.0, -tiny]], dtype=torch.float64)
    screen = Manhattan(outputs, lambda part: part.double().flatten(1))
    both = torch.arange(2)
    assert not screen.far(both, both, 2 * tiny).any()
