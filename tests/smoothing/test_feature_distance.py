"""Distances between the features of any network, on a small random one."""

import itertools

import mpmath
import pytest
import torch
from torch import nn

from smoothing import CenterSmoothingHD, FeatureDistance, Gaussian, SettingError
from smoothing.metrics import feature_distance

HERE = "test_feature_distance"


class Stages(nn.Module):
    """Two stages of random convolutions: (n, 3, h, w) -> (n, 4, h / 2, w / 2) and (n, 5, h / 4, w / 4)."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 2, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.noise = nn.Dropout(0.5)

    def forward(self, images):
        first = torch.relu(self.first(images))
        return [self.noise(first), self.second(first)]


class Coordinates(nn.Module):
    """The angle t of an output as the unit vector (cos t, sin t)."""

    def forward(self, outputs):
        return [torch.cat([outputs.cos(), outputs.sin()], dim=1)]


def images(n, seed=0):
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def by_loops(network, a, b):
    """Position by position, with numpy's sums replaced by loops."""
    network = network.eval()
    total = 0.0
    for u, v in zip(network(a[None]), network(b[None]), strict=True):
        u, v = u[0].detach().double(), v[0].detach().double()
        squares = []
        for i, j in itertools.product(range(u.shape[1]), range(u.shape[2])):
            p, q = u[:, i, j] / (u[:, i, j].norm() + 1e-10), v[:, i, j] / (v[:, i, j].norm() + 1e-10)
            squares.append(float(sum((x - y) ** 2 for x, y in zip(p, q, strict=True))))
        total += sum(squares) / len(squares)
    return total


def test_against_loops():
    a, b = images(3), images(4, seed=1)
    expected = torch.tensor([[by_loops(Stages(), x, y) for y in b] for x in a], dtype=torch.float64)
    metric = FeatureDistance(Stages())
    assert torch.allclose(metric.pairwise(a, b), expected, rtol=1e-5)
    assert torch.allclose(metric(a, b[:3]), expected.diagonal(), rtol=1e-5)
    assert torch.allclose(metric(a, b[:1]), expected[:, 0], rtol=1e-5)


def test_in_chunks(monkeypatch):
    a, b = images(7), images(7, seed=1)
    metric = FeatureDistance(Stages())
    whole = metric.pairwise(a, b)
    monkeypatch.setattr(feature_distance, "NUMBERS_AT_ONCE", 3 * 192)
    assert torch.allclose(metric.pairwise(a, b), whole, rtol=1e-5)
    assert torch.allclose(metric(a, b), whole.diagonal(), rtol=1e-5)
    assert metric(a[:0], b[:0]).shape == (0,)


def test_features_of_the_candidates_are_computed_once(monkeypatch):
    a, b = images(6), images(20, seed=1)
    metric, seen = FeatureDistance(Stages()), []
    whole = metric.pairwise(a, b)
    metric._network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    monkeypatch.setattr(feature_distance, "NUMBERS_AT_ONCE", 3 * 192)
    assert torch.allclose(metric.pairwise(a, b), whole, rtol=1e-5)
    checked = 2 * 5 + 5  # the first outputs, for the axioms
    assert sum(seen) <= 6 + 20 + 3 * checked
    assert max(seen) <= 5


def test_a_subclass_with_another_distance_has_it_for_all_pairs():
    class Root(FeatureDistance):
        def _distance(self, a, b):
            return super()._distance(a, b).sqrt()

    a, b = images(4), images(3, seed=1)
    roots = Root(Stages()).pairwise(a, b)
    assert torch.allclose(roots, FeatureDistance(Stages()).pairwise(a, b).sqrt(), rtol=1e-5)


def test_gamma_is_2_and_no_less():
    points = torch.cat([images(1) + t * images(1, seed=1) for t in torch.linspace(0, 0.5, 6)])
    points = torch.cat([points, images(10, seed=2), torch.zeros(1, 3, 8, 8)])
    d = FeatureDistance(Stages()).pairwise(points, points)
    assert (d.diagonal() == 0).all()
    assert torch.allclose(d, d.T, rtol=1e-12)
    detours = d[:, :, None] + d[None]
    assert (d[:, None, :] <= 2 * detours * (1 + 1e-12) + 1e-15).all()
    angles = torch.tensor([0.0, 0.005, 0.01])[:, None]
    d = FeatureDistance(Coordinates()).pairwise(angles, angles)
    assert float(d[0, 2] / (d[0, 1] + d[1, 2])) == pytest.approx(2, abs=1e-4)


def test_no_distance_is_above_4_for_each_stage():
    metric = FeatureDistance(Stages())
    assert metric.largest_distance((3, 8, 8)) == 8
    assert metric.pairwise(images(20), images(20, seed=3)).max() <= 8
    angles = torch.tensor([[0.0], [torch.pi]])
    metric = FeatureDistance(Coordinates())
    assert metric(angles[:1], angles[1:]).item() == pytest.approx(4)
    assert metric.largest_distance((1,)) == 4


def test_features_of_0_and_outputs_that_are_not_finite():
    some = images(3)
    some[1, 0, 2, 2] = torch.nan
    d = FeatureDistance(Stages()).pairwise(some, some)
    assert (d[1] == torch.inf).all()
    assert d[[0, 2]][:, [0, 2]].isfinite().all()
    zero = torch.zeros(1, 3, 8, 8)
    assert FeatureDistance(nn.Sequential(Listed()))(zero, zero).item() == 0


class Listed(nn.Module):
    def forward(self, images):
        return [images]


def test_rounding_errors_are_within_what_the_metric_states():
    """Compared with arithmetic with 60 digits, of the same features."""
    a, b = images(6), images(6) + 1e-4 * images(6, seed=1)
    metric = FeatureDistance(Stages())
    relative, absolute = metric.rounding(a[0], a.dtype)
    assert 0 < relative < 1e-12
    features = [metric._features(part) for part in (a, b)]
    for i, computed in enumerate(metric(a, b).tolist()):
        with mpmath.workdps(60):
            pairs = [
                pair for u, v in zip(*features, strict=True) for pair in zip(u[i].tolist(), v[i].tolist(), strict=True)
            ]
            true = mpmath.fsum((mpmath.mpf(x) - mpmath.mpf(y)) ** 2 for x, y in pairs)
            assert abs(computed - true) <= relative * true + absolute


def test_the_network_is_frozen_and_the_users_is_untouched():
    network = Stages()
    metric = FeatureDistance(network)
    before = metric(images(1), images(1, seed=1))
    with torch.no_grad():
        network.first.weight.zero_()
    assert torch.equal(metric(images(1), images(1, seed=1)), before)
    assert network.training
    assert network.first.weight.requires_grad


class InPlace(nn.Module):
    def forward(self, images):
        return [images.mul_(2).sub_(1)]


def test_a_network_may_work_in_place_and_arithmetic_is_float32():
    a, b = images(2), images(2, seed=1)
    kept = a.clone()
    FeatureDistance(InPlace())(a, b)
    assert torch.equal(a, kept)
    metric = FeatureDistance(Stages())
    with torch.autocast("cpu", torch.bfloat16):
        rough = metric(a, b)
    assert torch.equal(rough, metric(a, b))


def test_a_network_by_its_name_is_built_when_it_is_needed():
    named = FeatureDistance({"_target_": f"{HERE}.Stages", "seed": 3})
    assert named._network is None
    a, b = images(2), images(2, seed=1)
    assert torch.equal(named(a, b), FeatureDistance(Stages(3))(a, b))
    assert repr(named) == f"FeatureDistance({HERE}.Stages)"
    assert repr(FeatureDistance(Stages())) == "FeatureDistance(Stages)"


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"_target_": "nowhere.Net"}, r"metric\.features: expected the class of a network, got nowhere\.Net"),
        ({}, r"metric\.features: expected the class of a network, got  \("),
        ({"_target_": f"{HERE}.Stages", "depth": 3}, r"metric\.features: .*unexpected keyword"),
        ({"_target_": f"{HERE}.images", "n": 3}, r"metric\.features: expected the class of a network"),
        (nn.Conv2d(3, 2, 3), r"metric\.features: expected a list of feature maps \(n, channels, \.\.\.\), got Tensor"),
        (nn.Linear(3, 2), r"metric\.features: the network fails on outputs of shape \(3, 8, 8\): "),
    ],
)
def test_refused_in_one_line(features, message):
    with pytest.raises(SettingError, match=message) as error:
        FeatureDistance(features)(images(1), images(1))
    assert "\n" not in str(error.value)


def test_what_is_no_network_is_refused():
    with pytest.raises(SettingError, match=r"metric\.features: expected a network, or its _target_, got str"):
        FeatureDistance("resnet")


def test_a_certificate_has_a_factor_of_ten():
    h = CenterSmoothingHD(
        lambda x: x.view(-1, 3, 8, 8), Gaussian(0.01), FeatureDistance(Stages()), n=300, m=600, delta=0.2, batch_size=50
    )
    found = h.certify(images(1)[0].flatten(), 0.002)
    assert found.status == "certified"
    assert found.eps_out == pytest.approx(10 * found.distance_quantile, rel=1e-9)


def test_the_network_is_copied_when_the_metric_is_made():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return [images + self.shift]

    network = Scaled()
    metric = FeatureDistance(network)
    with torch.no_grad():
        network.shift.fill_(100.0)
    a, b = torch.tensor([[[1.0]], [[0.0]]]), torch.tensor([[[0.0]], [[3.0]]])
    assert metric(a[None], b[None]).tolist() == pytest.approx([2.0])


def test_features_without_weights_are_one_network_in_every_process(monkeypatch):
    """torch is seeded while they are built; the caller's random numbers do not change, on GPUs neither."""
    settings = {"_target_": f"{__name__}.Untrained"}
    a, b = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("GPUs are seeded") if not seed else ...)
    first = FeatureDistance(settings)(a, b)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(FeatureDistance(settings)(a, b), first)


class Untrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 3)

    def forward(self, images):
        return [self.layer(images)]
