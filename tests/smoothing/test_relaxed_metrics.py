"""Relaxations of Kumar and Goldstein (2021), sections 3.1 and 4: each distance, and the constant its proof uses."""

import itertools
import math

import mpmath
import pytest
import torch

from smoothing import (
    L2,
    Angular,
    CenterSmoothing,
    Cosine,
    EnclosingBallL2,
    FiniteSpace,
    Gaussian,
    Hausdorff,
    SettingError,
    Symmetrised,
)
from smoothing.medoid import best_center, lower_median

HIERARCHY = [[0, 1, 4, 4], [1, 0, 4, 4], [4, 4, 0, 2], [4, 4, 2, 0]]


class OneSided(Symmetrised):
    """The largest amount by which a number of b lies above that of a: an asymmetric distance (gamma = 1)."""

    def _one_way(self, a, b):
        return (b.double() - a.double()).flatten(1).clamp(min=0).amax(dim=1)


def largest_ratio(metric, points):
    """The largest d(a, c) / (d(a, b) + d(b, c)) over all triples."""
    d = metric.pairwise(points, points)
    detours = d[:, :, None] + d[None]
    return float((d[:, None, :] / detours).nan_to_num(0.0).max())


@pytest.mark.parametrize("metric", [Cosine(), Hausdorff(), Hausdorff("sum"), OneSided("max"), OneSided("sum")])
def test_gamma_holds_on_random_triples(metric):
    points = torch.cat([torch.randn(60, 4, 2), torch.zeros(1, 4, 2), 1e-3 * torch.randn(9, 4, 2) + 1])
    assert largest_ratio(metric, points) <= metric.gamma * (1 + 1e-12)


def test_gamma_of_the_cosine_distance_is_2_and_no_less():
    directions = torch.tensor([[math.cos(t), math.sin(t)] for t in (0.0, 0.005, 0.01)], dtype=torch.float64)
    assert largest_ratio(Cosine(), directions) == pytest.approx(2, abs=1e-4)


def test_the_cosine_distance_is_one_minus_the_similarity():
    a, b = torch.randn(50, 7), torch.randn(50, 7)
    expected = 1 - torch.nn.functional.cosine_similarity(a.double(), b.double())
    assert torch.allclose(Cosine()(a, b), expected, rtol=0, atol=1e-12)
    assert torch.allclose(Cosine()(a, b), 1 - torch.cos(math.pi * Angular()(a, b)), rtol=0, atol=1e-12)
    zero = torch.zeros(1, 7)
    assert Cosine()(zero, zero).item() == 0
    assert Cosine()(zero, a[:1]).item() == pytest.approx(0.5)


@pytest.mark.parametrize("n", [300, 301])
def test_the_screen_of_the_cosine_distance_changes_no_center(n):
    outputs = torch.randn(n, 6) + torch.tensor([3.0, 0, 0, 0, 0, 0])
    medians = lower_median(Cosine().pairwise(outputs, outputs))
    center, radius = best_center(outputs, Cosine(), outputs[:0])
    assert radius == float(medians.min())
    assert torch.equal(center, outputs[medians.argmin()])


def test_hausdorff_is_symmetric_and_forgets_the_order_of_the_points():
    a, b = torch.rand(5, 6, 2), torch.rand(5, 6, 2)
    by_hand = [
        max(max(min(math.dist(p, q) for q in there) for p in here) for here, there in ((one, other), (other, one)))
        for one, other in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert Hausdorff()(a, b).tolist() == pytest.approx(by_hand)
    assert torch.equal(Hausdorff()(a, b), Hausdorff()(b, a))
    assert Hausdorff()(a, a.flip(1)).max() == 0
    with pytest.raises(SettingError, match=r"outputs \(points, coordinates\), got \(12,\)"):
        Hausdorff()(a.flatten(1), b.flatten(1))
    with pytest.raises(SettingError, match=r"metric.by: expected sum or max"):
        Hausdorff("mean")


def test_a_one_sided_distance_is_made_symmetric():
    a, b = torch.tensor([[0.0, 5.0]]), torch.tensor([[3.0, 1.0]])
    assert OneSided("sum")(a, b).item() == OneSided("sum")(b, a).item() == 7
    assert OneSided("max")(a, b).item() == OneSided("max")(b, a).item() == 4


def test_the_center_of_a_finite_space_is_the_best_of_all_its_points():
    """A star: every output is a leaf. The hub is not an output and has distance 1 from all of them."""
    star = [[0, 1, 1, 1], [1, 0, 2, 2], [1, 2, 0, 2], [1, 2, 2, 0]]
    leaves = torch.tensor([[1.0], [2.0], [3.0], [1.0], [2.0], [3.0]])
    center, radius = best_center(leaves, FiniteSpace(star))
    assert (center.item(), radius) == (0.0, 1.0)
    assert best_center(leaves, FiniteSpace(star), leaves[:0])[1] == 2.0


def test_no_ball_of_a_finite_space_with_half_of_the_outputs_is_smaller():
    space = FiniteSpace(HIERARCHY)
    for outputs in itertools.product(range(4), repeat=5):
        radius = min(sorted(HIERARCHY[c][z] for z in outputs)[2] for c in range(4))
        assert best_center(torch.tensor(outputs, dtype=torch.float32)[:, None], space)[1] == radius


def test_a_certificate_of_classes_in_a_hierarchy_is_twice_a_distance():
    h = CenterSmoothing(
        lambda x: (x[:, :1] > 0.2).float(), Gaussian(0.5), FiniteSpace(HIERARCHY), n=500, m=1000, delta=0.15
    )
    certificate = h.certify(torch.zeros(3), 0.05)
    assert certificate.eps_out == pytest.approx(2 * certificate.distance_quantile) == pytest.approx(2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1], [2, 0]], "symmetric"),
        ([[0, -1], [-1, 0]], "at least 0"),
        ([[1, 1], [1, 0]], "zeros on the diagonal"),
        ([[0, 1, 2]], "k rows of k numbers"),
        ([[0, 0, 0], [0, 0, 1], [0, 1, 0]], "no gamma exists"),
        ([[0, float("nan")], [float("nan"), 0]], "symmetric"),
    ],
)
def test_tables_that_are_no_distances_are_refused(table, message):
    with pytest.raises(SettingError, match=message):
        FiniteSpace(table)


def test_gamma_of_a_finite_space_is_the_least_that_serves():
    assert FiniteSpace(HIERARCHY).gamma == 1
    assert FiniteSpace([[0, 1, 6], [1, 0, 1], [6, 1, 0]]).gamma == pytest.approx(3)
    assert FiniteSpace([[0, 1, 6], [1, 0, 1], [6, 1, 0]]).gamma >= 3


@pytest.mark.parametrize("output", [4.0, -1.0, 0.5])
def test_an_output_that_is_no_point_is_refused(output):
    with pytest.raises(SettingError, match="whole numbers from 0 to 3"):
        FiniteSpace(HIERARCHY)(torch.tensor([[output]]), torch.zeros(1, 1))


def test_an_output_that_is_not_finite_is_outside():
    assert FiniteSpace(HIERARCHY)(torch.tensor([[math.nan], [1.0]]), torch.zeros(1, 1)).tolist() == [math.inf, 1.0]


def smallest_half_ball(points):
    """Radius of the smallest ball with half of a few points in the plane: its center lies midway between two of them
    or is the circumcenter of three."""
    half = (len(points) + 1) // 2
    centers = list(points) + [(p + q) / 2 for p, q in itertools.combinations(points, 2)]
    for p, q, r in itertools.combinations(points, 3):
        a, b = 2 * (q - p), 2 * (r - p)
        matrix = torch.stack([a, b])
        if abs(float(torch.linalg.det(matrix))) > 1e-9:
            right = torch.stack([q @ q - p @ p, r @ r - p @ p])
            centers.append(torch.linalg.solve(matrix, right))
    return min(sorted(float((c - p).norm()) for p in points)[half - 1] for c in centers)


def test_the_midpoint_of_some_pair_is_within_three_halves_of_the_smallest_ball():
    for _ in range(60):
        points = torch.randn(9, 2).double()
        radius = best_center(points.float(), EnclosingBallL2())[1]
        assert radius <= 1.5 * smallest_half_ball(points) * (1 + 1e-6)


def test_three_halves_is_reached_by_an_equilateral_triangle():
    corners = torch.tensor([[math.cos(t), math.sin(t)] for t in (0, 2 * math.pi / 3, 4 * math.pi / 3)])
    far = torch.tensor([[100.0, 0.0], [-100.0, 70.0]])
    points = torch.cat([corners, far])
    midpoints = EnclosingBallL2().candidates(points)[-10:]
    assert float(lower_median(L2().pairwise(midpoints, points)).min()) == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize("dimension", [2, 3, 40])
def test_the_lemma_of_the_enclosing_ball(dimension):
    """All of a set within r of 0 lies within 3/2 r of the midpoint of its farthest pair."""
    for _ in range(50):
        points = torch.nn.functional.normalize(torch.randn(2 * dimension, dimension).double())
        distances = torch.cdist(points, points)
        p, q = divmod(int(distances.argmax()), len(points))
        middle = (points[p] + points[q]) / 2
        assert float((points - middle).norm(dim=1).max()) <= 1.5 + 1e-12


def test_an_enclosing_ball_gives_smaller_radii_than_the_medoid():
    def f(x):
        return torch.tanh(x @ torch.eye(3)[:, :2])

    settings = dict(n=300, m=1000, delta=0.2)
    ball = CenterSmoothing(f, Gaussian(0.5), EnclosingBallL2(), **settings).certify(torch.zeros(3), 0.1, example=0)
    medoid = CenterSmoothing(f, Gaussian(0.5), L2(), center="medoid", **settings).certify(
        torch.zeros(3), 0.1, example=0
    )
    assert ball.eps_out == pytest.approx(2.5 * ball.distance_quantile, rel=1e-12)
    assert ball.eps_out < 0.95 * medoid.eps_out
    assert EnclosingBallL2().beta(torch.zeros(2, dtype=torch.float64)) == 2
    with pytest.raises(SettingError, match="too many for memory"):
        EnclosingBallL2().candidates(torch.zeros(3000, 400))


def exact_cosine(a, b):
    with mpmath.workdps(60):
        x, y = ([mpmath.mpf(v) for v in row.double().tolist()] for row in (a, b))
        dot = mpmath.fsum(p * q for p, q in zip(x, y, strict=True))
        size = mpmath.sqrt(mpmath.fsum(p * p for p in x) * mpmath.fsum(q * q for q in y))
        return 1 - dot / size


def exact_hausdorff(a, b):
    with mpmath.workdps(60):
        one, other = ([[mpmath.mpf(v) for v in point] for point in row.double().tolist()] for row in (a, b))

        def way(here, there):
            squares = [[sum((p - q) ** 2 for p, q in zip(x, y, strict=True)) for y in there] for x in here]
            return max(mpmath.sqrt(min(row)) for row in squares)

        return max(way(one, other), way(other, one))


@pytest.mark.parametrize("shape", [(2, 2), (3, 5)])
@pytest.mark.parametrize("near", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize(("metric", "exact"), [(Cosine(), exact_cosine), (Hausdorff(), exact_hausdorff)])
def test_rounding_errors_are_within_what_the_metric_states(metric, exact, near, shape):
    """Compared with arithmetic with 60 digits."""
    a = torch.randn(40, *shape)
    b = a + near * torch.randn(40, *shape)
    relative, absolute = metric.rounding(a[0], a.dtype)
    flat = (lambda row: row.flatten()) if isinstance(metric, Cosine) else (lambda row: row)
    for computed, one, other in zip(metric(a, b).tolist(), a, b, strict=True):
        true = exact(flat(one), flat(other))
        assert abs(computed - true) <= relative * true + absolute


def test_an_exact_table_rounds_nothing():
    assert FiniteSpace(HIERARCHY).rounding(torch.zeros(1), torch.float32) == (0.0, 0.0)
