"""Rounding errors of computed distances, compared with 60 digits: radii are rounded up for them."""

import mpmath
import numpy as np
import pytest
import torch

from smoothing import (
    L2,
    Angular,
    CenterDraws,
    CenterSettings,
    CenterSmoothing,
    Gaussian,
    Jaccard,
    Metric,
    TotalVariation,
)
from smoothing import certificate as sampled_certificate
from smoothing.center_guarantee import output_radius
from smoothing.rounding import up

SHAPES = {"L2": (2, 3, 4), "TotalVariation": (2, 3, 4), "Angular": (2, 3, 4), "Jaccard": (4,)}


def exact(metric, a, b):
    """The distance of two outputs, with 60 digits."""
    mpmath.mp.dps = 60
    u, v = ([mpmath.mpf(number) for number in output.double().flatten().tolist()] for output in (a, b))
    if isinstance(metric, L2):
        return mpmath.sqrt(mpmath.fsum((p - q) ** 2 for p, q in zip(u, v, strict=True)))
    if isinstance(metric, Angular):
        size_u, size_v = (mpmath.sqrt(mpmath.fsum(p**2 for p in w)) for w in (u, v))
        if not size_u or not size_v:
            return mpmath.mpf(0) if size_u == size_v else mpmath.mpf("0.5")
        pairs = [(p / size_u, q / size_v) for p, q in zip(u, v, strict=True)]
        near, far = (mpmath.sqrt(mpmath.fsum((p + sign * q) ** 2 for p, q in pairs)) for sign in (-1, 1))
        return 2 * mpmath.atan2(near, far) / mpmath.pi
    if isinstance(metric, Jaccard):
        sides = [(max(u[i], v[i]), min(u[i + 2], v[i + 2])) for i in (0, 1)]
        both = mpmath.fprod(max(high - low, 0) for low, high in sides)
        areas = [mpmath.fprod(max(w[i + 2] - w[i], 0) for i in (0, 1)) for w in (u, v)]
        either = mpmath.fsum(areas) - both
        return 1 - both / either if either else mpmath.mpf(0)
    channels, height, width = a.shape
    difference = np.array([p - q for p, q in zip(u, v, strict=True)], dtype=object).reshape(channels, height, width)
    return mpmath.fsum(abs(term) for axis in (1, 2) for term in np.diff(difference, axis=axis).flatten())


def outputs(metric, dtype, spread, offset, scale):
    """Six outputs: one, others near it, and one far from it."""
    shape, generator = SHAPES[type(metric).__name__], torch.Generator().manual_seed(hash((spread, offset)) % 1000)
    draw = torch.rand(6, *shape, generator=generator, dtype=torch.float64)
    if isinstance(metric, Jaccard):
        draw[:, 2:] += 1
    draw[1:5] = draw[:1] + spread * draw[1:5]
    return (scale * (draw + offset)).to(dtype)


METRICS = [L2(), TotalVariation(), Angular(), Jaccard()]


@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1.0, 1.0), (1e-20, 1.0), (1e20, 0.0), (1.0, 1e6)])
def test_computed_distances_are_within_what_the_metric_states(metric, dtype, scale, offset):
    for spread in (1.0, 1e-4, 1e-7, 1e-12, 0.0):
        some = outputs(metric, dtype, spread, offset, scale)
        pairs, center = metric.pairwise(some, some), some[0]
        relative, absolute = metric.rounding(center, dtype)
        for i, j in ((0, 1), (1, 2), (3, 4), (0, 5), (4, 5)):
            true = [exact(metric, some[p], some[q]) for p, q in ((i, j), (0, i), (0, j))]
            allowed = relative * max(true) + absolute
            for found in (float(pairs[i, j]), float(metric(some[i : i + 1], some[j : j + 1]))):
                assert abs(mpmath.mpf(found) - true[0]) <= allowed


def test_what_the_old_margin_did_not_cover_is_covered():
    """The relative errors of close outputs' distances exceeded the margin by which radii were rounded up."""
    beyond = []
    for metric in METRICS[1:]:
        for dtype in (torch.float32, torch.float64):
            some = outputs(metric, dtype, 1e-7 if dtype == torch.float32 else 1e-12, 1.0, 1.0)
            d = exact(metric, some[0], some[1])
            error = abs(mpmath.mpf(float(metric(some[:1], some[1:2]))) - d)
            beyond.append(bool(error > max(1e-13, 2.0**-50 * some[0].numel()) * d > 0))
            c = CenterDraws(some[0], some[0], 0.0, 1, 1, np.zeros(1), 0.0)
            found = float(metric(some[:1], some[1:2]))
            assert output_radius(c, found, metric, 2.0) >= 3 * d
    assert sum(beyond) >= 3


def test_what_a_large_pixel_hides_is_claimed_not_to_be_zero():
    """Float64 images with a pixel of 1e16: their differences lose .8, so a distance was certified as 0."""

    def f(batch):
        images = torch.zeros(len(batch), 1, 1, 3, dtype=torch.float64)
        images[:, 0, 0, 0] = 1e16
        images[:, 0, 0, 1] = 0.4 * (batch[:, 0] > 0)
        return images

    metric = TotalVariation()
    c = CenterSmoothing(f, Gaussian(0.25), metric, n=1000, m=1000, delta=0.15).certify(torch.zeros(1), 0.1)
    ends = f(torch.tensor([[-1.0], [1.0]]))
    assert exact(metric, *ends) == pytest.approx(0.8)
    assert float(metric(ends[:1], ends[1:])) < 0.5
    assert c.eps_out >= 0.8


@pytest.mark.parametrize("numbers", [1, 64, 784, 3072])
def test_radii_of_outputs_between_0_and_1_are_rounded_up_by_what_they_were(numbers):
    """L2 and total variation of float32 outputs: no digit of a radius changes; the old margin covers the new one."""
    side = int(numbers**0.5)
    image = torch.rand(1, side, numbers // side)
    for metric, center, r_hat in ((L2(), image, 0.3), (TotalVariation(), image, 3.0)):
        if isinstance(metric, TotalVariation) and numbers == 1:
            continue
        draws = CenterDraws(center, center, 1.0, 1, 1, np.zeros(1), 0.0)
        old = up(3 * r_hat, max(1e-13, 2.0**-50 * center.numel()))
        assert output_radius(draws, r_hat, metric, 2.0) == old
    box = torch.tensor([0.0, 0.0, 1.0, 1.0])
    draws = CenterDraws(box, box, 1.0, 1, 1, np.zeros(1), 0.0)
    assert output_radius(draws, 0.05, Jaccard(), 2.0) == up(3 * 0.05, 1e-13)


@pytest.mark.parametrize("relative", [1e-6, 1e-3])
@pytest.mark.parametrize("absolute", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_a_radius_allows_for_errors_of_every_distance_that_it_rests_on(relative, absolute, gamma):
    """R_hat too small, the center's median at x' too large and its ball's too small, each by the full stated error."""
    metric = type("Rough", (L2,), {"gamma": gamma, "rounding": lambda self, center, dtype: (relative, absolute)})()
    draws, beta, r_hat = CenterDraws(torch.zeros(1), torch.zeros(1), 1.0, 1, 1, np.zeros(1), 0.0), 2 * gamma, 0.7
    ball = (r_hat + absolute) / (1 - relative)
    median = beta * ball + relative * beta * ball + absolute
    there = median
    for _ in range(200):  # d(c', w) <= median + relative d(c, c') + absolute, and d(c, c') <= gamma (ball + d(c', w))
        there = median + relative * gamma * (ball + there) + absolute
    needed = gamma * (ball + there)
    assert needed <= output_radius(draws, r_hat, metric, beta) <= needed * (1 + 1e-12)


def test_a_metric_of_ones_own_gets_a_margin_for_sums_of_numbers_like_the_centers():
    class Sum(Metric):
        def _distance(self, a, b):
            return (a.double() - b.double()).abs().flatten(1).sum(dim=1)

    center = torch.full((10,), 1000.0)
    relative, absolute = Sum().rounding(center, torch.float32)
    assert relative == 20 * 2.0**-53
    assert absolute == 1000 * relative
    assert Sum().rounding(center / 1e6, torch.float32)[1] == relative
    draws = CenterDraws(center, center, 1.0, 10_000, 9000, np.zeros(1000), 0.0)
    c = sampled_certificate(draws, 0.1, Gaussian(0.5), Sum(), CenterSettings())
    assert 0 < c.eps_out < 10 * absolute
    assert sampled_certificate(draws, 0.1, Gaussian(0.5), L2(), CenterSettings()).eps_out == 0


def test_boxes_whose_areas_underflow_are_outside_every_ball():
    tiny = torch.tensor(
        [[0.0, 0, 1e-160, 1e-160], [0, 0, 2e-160, 1e-160], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=torch.float64
    )
    d = Jaccard().pairwise(tiny, tiny)
    assert (d[:2, :2] == torch.inf).all()
    assert (d[:2, 3] == torch.inf).all()
    assert d[2:, 2:].tolist() == [[0, 1], [1, 0]]
    small = tiny.clamp(max=1e-130)
    small[:2, 2:] = torch.tensor([[1e-130, 1e-130], [2e-130, 1e-130]], dtype=torch.float64)
    assert float(Jaccard()(small[:1], small[1:2])) == 0.5
