"""`center=medoid`: the paper's center, a point of the sample (Kumar and Goldstein 2021, algorithm 1)."""

import numpy as np
import pytest
import torch

from smoothing import L2, CenterSmoothing, CenterSmoothingHD, Gaussian, Jaccard, SettingError, TotalVariation
from smoothing.cursor import noisy_inputs
from smoothing.streams import Stage, Stream

NOISE, N = Gaussian(0.5), 400


def boxes(x):
    """Boxes (b, 4) of the first four numbers."""
    corner = x[:, :2]
    return torch.cat([corner, corner + 2 + x[:, 2:4]], dim=1)


def images(x):
    return torch.sigmoid(x).view(-1, 1, 8, 8)


def number(x):
    return x.sum(dim=1, keepdim=True)


def smoothed(f, metric, center, kind=CenterSmoothing):
    return kind(f, NOISE, metric, n=N, m=1000, delta=0.15, center=center)


def sample(f, stage, count):
    return torch.cat([f(batch) for batch in noisy_inputs(torch.zeros(64), NOISE, count, Stream(0, 0, stage), 64)])


@pytest.mark.parametrize(("f", "metric"), [(boxes, Jaccard()), (images, TotalVariation()), (number, L2())])
def test_the_center_is_the_output_with_the_smallest_median_distance(f, metric):
    outputs = sample(f, Stage.CENTER, N)
    medians = metric.pairwise(outputs, outputs).sort(dim=1).values[:, N // 2 - 1]
    found = smoothed(f, metric, "medoid").smooth(torch.zeros(64), example=0)
    assert torch.equal(found.center, outputs[medians.argmin()])
    assert found.center_radius == float(medians.min())
    best = smoothed(f, metric, "best").smooth(torch.zeros(64), example=0)
    assert best.center_radius < found.center_radius
    assert not (best.center == outputs).flatten(1).all(dim=1).any()


@pytest.mark.parametrize(("center", "factor"), [("medoid", 3), ("best", 2)])
def test_beta_of_numbers_is_1_for_the_middle_of_the_shortest_half_alone(center, factor):
    certificate = smoothed(number, L2(), center).certify(torch.zeros(64), 0.1, example=0)
    assert certificate.status == "certified"
    assert certificate.eps_out == pytest.approx(factor * certificate.distance_quantile, rel=1e-12)


def test_smooth_hd_chooses_among_its_outputs():
    candidates = sample(images, Stage.SELECTION, 30)
    found = smoothed(images, TotalVariation(), "medoid", CenterSmoothingHD).smooth(torch.zeros(64), example=0)
    assert (found.center == candidates).flatten(1).all(dim=1).any()
    best = smoothed(images, TotalVariation(), "best", CenterSmoothingHD).smooth(torch.zeros(64), example=0)
    assert best.center_radius <= found.center_radius


def test_the_certified_distances_are_those_from_the_medoid():
    h = smoothed(images, TotalVariation(), "medoid")
    draws = h.draw(torch.zeros(64), example=0)
    outputs = sample(images, Stage.CERTIFICATION, 1000)
    assert np.array_equal(draws.distances, h.metric(outputs, draws.center[None]).sort().values.numpy())


def test_another_kind_of_center_is_refused():
    with pytest.raises(SettingError, match=r"certifier.center: expected medoid or best, got mean"):
        smoothed(images, L2(), "mean")
