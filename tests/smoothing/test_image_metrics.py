"""Total variation, angular and perceptual distance: compared with independent implementations, and extreme cases."""

import copy
import math
import urllib.error
import warnings

import pytest
import torch

from smoothing import L2, LPIPS, Angular, Metric, SettingError, TotalVariation
from smoothing.center_guarantee import SUM_MARGIN
from smoothing.metrics import feature_distance
from smoothing.metrics import lpips as lpips_module

METRICS = [L2(), TotalVariation(), Angular()]

pytestmark = pytest.mark.long


def images(n, *shape, scale=1.0):
    return torch.rand(n, *(shape or (3, 5, 4))) * scale


def tv_by_loops(a, b):
    """All neighbours, one by one; exactly rounded sums."""
    difference = (a.double() - b.double()).tolist()
    terms = []
    for channel in difference:
        for i, row in enumerate(channel):
            for j, value in enumerate(row):
                terms += [abs(value - row[j + 1])] if j + 1 < len(row) else []
                terms += [abs(value - channel[i + 1][j])] if i + 1 < len(channel) else []
    return math.fsum(terms)


def angle_by_loops(a, b):
    a, b = a.flatten().tolist(), b.flatten().tolist()
    cosine = math.fsum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
    return math.acos(max(-1.0, min(1.0, cosine))) / math.pi


def l2_by_loops(a, b):
    return math.dist(a.flatten().tolist(), b.flatten().tolist())


BY_LOOPS = [(L2(), l2_by_loops), (TotalVariation(), tv_by_loops), (Angular(), angle_by_loops)]


@pytest.mark.parametrize(("metric", "by_loops"), BY_LOOPS)
@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 7, 7), (3, 5, 4)])
def test_against_loops(metric, by_loops, shape):
    a, b = torch.randn(6, *shape), torch.randn(5, *shape)
    expected = torch.tensor([[by_loops(x, y) for y in b] for x in a], dtype=torch.float64)
    assert torch.allclose(metric.pairwise(a, b), expected, rtol=1e-12, atol=1e-15)
    assert torch.allclose(metric(a[:5], b), expected[:5].diagonal(), rtol=1e-12, atol=1e-15)
    assert torch.allclose(metric(a, b[2:3]), expected[:, 2], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_tiles_change_nothing_and_bound_the_memory(metric, monkeypatch):
    a, b = images(9), images(7)
    vars(metric).pop("_tried", None)
    whole, _ = metric.pairwise(a, b), metric.pairwise(a, b)  # the second call compares the first outputs again
    sizes, all_distances = [], type(metric)._all_distances
    monkeypatch.setattr("smoothing.metrics.base.NUMBERS_AT_ONCE", 60 * 4)
    monkeypatch.setattr(
        type(metric), "_all_distances", lambda self, r, c: sizes.append(len(r) * len(c)) or all_distances(self, r, c)
    )
    last_digit = 1e-15 if isinstance(metric, Angular) else 0  # atan2 rounds the last few of a row otherwise (SIMD)
    assert torch.allclose(metric.pairwise(a, b), whole, rtol=last_digit, atol=0)
    assert max(sizes) * a[0].numel() <= 60 * 4
    assert len(sizes) == 5 * 4


@pytest.mark.parametrize("metric", METRICS)
def test_pairs_default_to_the_distance_where_a_subclass_changes_it(metric):
    class Root(type(metric)):
        def _distance(self, a, b):
            return super()._distance(a, b).sqrt()

    a, b = images(4), images(3)
    assert torch.allclose(Root().pairwise(a, b), metric.pairwise(a, b).sqrt(), rtol=1e-12)
    assert Root().beta(a[0, 0, 0, :1]) == 2.0
    assert TotalVariation(span=1).largest_distance((1, 2, 2)) == 8


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_pseudometric_at_every_scale(metric, scale):
    special = torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.5), -images(1, 3, 4, 4)[0]])
    points = torch.cat([images(12, 3, 4, 4), special, images(1, 3, 4, 4) + 1e-6 * images(6, 3, 4, 4)]) * scale
    d = metric.pairwise(points, points)
    assert d.isfinite().all()
    assert (d.diagonal() == 0).all()
    assert torch.equal(d, d.T)
    assert (d[:, :, None] <= (d[:, None, :] + d[None]) * (1 + 1e-12) + 1e-15 * d.max()).all()
    unscaled = metric.pairwise(points / scale, points / scale) * (1 if isinstance(metric, Angular) else scale)
    assert torch.allclose(d, unscaled, rtol=1e-5, atol=1e-6 * float(d.max()))
    assert (d <= metric.largest_distance((3, 4, 4))).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_images_that_are_not_finite_are_outside_every_ball(metric, bad):
    some = images(3)
    some[1, 2, 3, 1] = bad
    expected = torch.tensor([[False, True, False], [True] * 3, [False, True, False]])
    assert torch.equal(metric.pairwise(some, some) == torch.inf, expected)
    assert torch.equal(metric(some, some[:1]) == torch.inf, expected[0])


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 256, 256)])
def test_rounding_is_within_what_certified_radii_are_rounded_up_by(shape):
    a, b = images(1, *shape), images(1, *shape)
    squares = ((a.double() - b.double()) ** 2).flatten().tolist()
    cases = [(L2(), math.sqrt(math.fsum(squares))), (TotalVariation(), tv_by_loops(a[0], b[0]))]
    for metric, exact in cases:
        for found in (float(metric(a, b)), float(metric.pairwise(a, b))):
            assert abs(found - exact) <= SUM_MARGIN / 4 * len(squares) * exact


def test_images_that_differ_by_a_constant_are_at_total_variation_zero():
    some = images(4).double()
    assert TotalVariation()(some, some + 0.25).max() < 1e-14
    assert TotalVariation().pairwise(some, some + 0.25).diagonal().max() < 1e-14


@pytest.mark.parametrize(("shape", "largest"), [((1, 28, 28), 3024), ((3, 32, 32), 11904), ((2, 1, 3), 8)])
def test_the_largest_total_variation_is_a_checkerboards(shape, largest):
    _, height, width = shape
    board = ((torch.arange(height)[:, None] + torch.arange(width)) % 2).float().expand(shape)[None]
    assert TotalVariation(span=1).largest_distance(shape) == largest == float(TotalVariation()(board, 1 - board))
    assert TotalVariation().largest_distance(shape) == math.inf


def test_the_largest_l2_distance_follows_the_shape():
    assert L2(span=1).largest_distance((1, 28, 28)) == 28
    assert L2(largest=2**0.5).largest_distance((10,)) == 2**0.5
    assert L2(largest=5, span=1).largest_distance((9,)) == 3
    for metric in (L2, TotalVariation):
        with pytest.raises(SettingError, match=r"metric\.span"):
            metric(span=0.0)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4, 4)])
def test_total_variation_is_of_images(shape):
    with pytest.raises(SettingError, match="TotalVariation needs outputs"):
        TotalVariation()(torch.zeros(2, *shape), torch.zeros(2, *shape))


@pytest.mark.parametrize("t", [0.0, 1e-300, 1e-15, 1e-9, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_small_angles_are_exact(t, size):
    a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[1.0, t]], dtype=torch.float64) * size
    expected = math.atan(t) / math.pi
    for found in (float(Angular()(a, b)), float(Angular().pairwise(a, b))):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-16)
        assert float(Angular()(a, -b)) == pytest.approx(1 - expected, abs=1e-15)


def test_a_vector_of_zeros_is_half_a_turn_from_all_others():
    zero, other = torch.zeros(1, 4), torch.tensor([[0.0, -3.0, 0.0, 1e-20]])
    assert Angular()(zero, other).tolist() == [0.5]
    assert Angular()(zero, zero).tolist() == [0.0]
    assert Angular().pairwise(torch.cat([zero, other, -other]), torch.cat([zero, other])).tolist() == [
        [0.0, 0.5],
        [0.5, 0.0],
        [0.5, 1.0],
    ]


# LPIPS, with random weights: all of its algebra, none of its perception.


@pytest.fixture(scope="module")
def lpips():
    metric = LPIPS("random")
    metric(images(1, 3, 16, 16), images(1, 3, 16, 16))
    return metric


def test_lpips_against_the_package(lpips):
    a, b = torch.randn(3, 3, 32, 24), torch.randn(2, 3, 32, 24)

    def scaled(image):
        return 2 * (image - image.min()) / (image.max() - image.min()) - 1

    expected = torch.tensor([[float(lpips._network(scaled(x)[None], scaled(y)[None])) for y in b] for x in a])
    assert torch.allclose(lpips.pairwise(a, b).float(), expected, rtol=1e-4)
    assert torch.allclose(lpips(a[:2], b).float(), expected[:2].diagonal(), rtol=1e-4)
    assert torch.allclose(lpips(a, b[1:]).float(), expected[:, 1], rtol=1e-4)


def test_lpips_in_chunks(lpips, monkeypatch):
    a, b = images(5, 1, 16, 16), images(4, 1, 16, 16)
    whole, rows = lpips.pairwise(a, b), lpips(a[:4], b)
    monkeypatch.setattr(feature_distance, "NUMBERS_AT_ONCE", 2 * 256)
    assert torch.allclose(lpips.pairwise(a, b), whole, rtol=1e-5)
    assert torch.allclose(lpips(a[:4], b), rows, rtol=1e-5)
    assert torch.allclose(rows, whole.diagonal(), rtol=1e-5)


def test_lpips_obeys_its_relaxed_triangle_inequality_and_no_stricter_one(lpips):
    line = images(1, 3, 16, 16) + torch.linspace(0, 0.3, 7).view(7, 1, 1, 1) * images(1, 3, 16, 16)
    points = torch.cat([line, images(5, 3, 16, 16), torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 7.0)])
    d = lpips.pairwise(points, points)
    assert (d.diagonal() == 0).all()
    assert torch.allclose(d, d.T, rtol=1e-9)
    assert d[-1, -2] == 0  # both constant
    slack = d[:, None, :] + d[None]
    assert (d[:, :, None] <= LPIPS.gamma * slack * (1 + 1e-9) + 1e-15).all()
    assert (d[:, :, None] > 1.5 * slack + 1e-6).any()


def test_lpips_of_outputs_that_are_not_finite_or_extreme(lpips):
    some = images(4, 3, 16, 16)
    some[1, 0, 3, 3] = torch.nan
    d = lpips.pairwise(some, some)
    assert (d[1] == torch.inf).all()
    assert (d[:, 1] == torch.inf).all()
    assert d[[0, 2, 3]][:, [0, 2, 3]].isfinite().all()
    for scale in (1e-30, 1e30):
        assert torch.allclose(lpips.pairwise(some[2:] * scale, some[2:]), d[2:, 2:], atol=1e-6)


def test_float32_features_move_the_root_of_lpips_by_less_than_1e_6(lpips, monkeypatch):
    some = images(1, 3, 16, 16) + torch.tensor([0.0, 1e-4, 1e-2, 0.5]).view(4, 1, 1, 1) * images(4, 3, 16, 16)
    ours = lpips.pairwise(some, some)
    exact = LPIPS("random")
    exact._network = copy.deepcopy(lpips._network).double()
    scaled = lpips_module._scaled(some.double())
    monkeypatch.setattr(lpips_module, "_scaled", lambda batch: scaled.double()[: len(batch)])
    theirs = type(exact).pairwise.unchecked(exact, some, some)  # it is not a function of its arguments
    assert 0 < float((ours.sqrt() - theirs.sqrt()).abs().max()) < 1e-6


def test_weights_that_cannot_be_had_are_refused_in_one_line(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    one = images(1, 3, 16, 16)
    (tmp_path / "text.pth").write_text("not weights")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "others.pth")
    cases = {
        "hub": "cannot download https://download.pytorch.org/models/vgg16",
        str(tmp_path / "missing.pth"): "cannot read .*missing.pth",
        str(tmp_path / "text.pth"): "cannot read .*text.pth",
        str(tmp_path / "others.pth"): "does not hold torchvision's VGG-16",
    }
    for weights, message in cases.items():
        with pytest.raises(SettingError, match=message) as error:
            LPIPS(weights)(one, one)
        assert "\n" not in str(error.value)
        assert "metric.weights" in str(error.value)


def test_weights_from_a_file_are_used(tmp_path, lpips):
    trunk = {
        f"features.{name.partition('.')[2]}": 1.5 * value for name, value in lpips._network.net.state_dict().items()
    }
    torch.save(trunk, tmp_path / "vgg16.pth")
    loaded = LPIPS(str(tmp_path / "vgg16.pth"))
    a, b = images(2, 3, 16, 16), images(2, 3, 16, 16)
    found = loaded(a, b)
    state = loaded._network.net.state_dict()
    assert all(torch.equal(value, trunk[f"features.{name.partition('.')[2]}"]) for name, value in state.items())
    assert (found != lpips(a, b)).all()


@pytest.mark.parametrize("shape", [(3, 15, 40), (2, 32, 32), (3, 32)])
def test_lpips_is_of_images_large_enough(lpips, shape):
    with pytest.raises(SettingError, match="LPIPS needs images"):
        lpips(torch.zeros(2, *shape), torch.zeros(2, *shape))


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone(lpips):
    a, b = images(2, 3, 16, 16), images(2, 3, 16, 16)
    before = torch.random.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = LPIPS("random")
        assert torch.equal(again(a, b), lpips(a, b))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert repr(again) == "LPIPS(weights='random')"
    assert isinstance(again, Metric)
