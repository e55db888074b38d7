"""Center smoothing: its center, its guarantee read off draws, and its refusals."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from smoothing import (
    L2,
    CenterDraws,
    CenterSettings,
    CenterSmoothing,
    Gaussian,
    Jaccard,
    SettingError,
    certificate,
)
from smoothing.center_bounds import BOUNDS, distances_needed
from smoothing.center_guarantee import why_abstain
from smoothing.medoid import best_center

SIGMA = 0.5


def identity_smoothing(**changes):
    settings = {"n": 400, "m": 1000, "delta": 0.1} | changes
    return CenterSmoothing(lambda batch: batch, Gaussian(SIGMA), L2(), **settings)


def draws(distances, inside=5500, n=10_000, center_radius=1.0):
    return CenterDraws(torch.zeros(1), torch.zeros(1), center_radius, n, inside, np.sort(distances), 0.0)


def read(d, eps, **settings):
    return certificate(d, eps, Gaussian(SIGMA), L2(largest=10.0), CenterSettings(**settings))


class L2OfOutputs(L2):
    """L2 without candidates."""

    def candidates(self, outputs):
        return outputs[:0]


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_the_center_is_the_medoid(n):
    outputs = torch.randn(n, 3)
    center, radius = best_center(outputs, L2OfOutputs())
    medians = [sorted(math.dist(a, b) for b in outputs.tolist())[(n + 1) // 2 - 1] for a in outputs.tolist()]
    assert radius == pytest.approx(min(medians), rel=1e-9)
    assert torch.equal(center, outputs[int(np.argmin(medians))])


def test_the_medoid_is_within_beta_of_the_smallest_ball_with_half_of_the_points():
    for _ in range(30):
        points = torch.rand(9, 1).double()
        values = sorted(points[:, 0].tolist())
        smallest = min(values[i + 4] - values[i] for i in range(5)) / 2
        assert best_center(points, L2OfOutputs())[1] <= 2 * smallest + 1e-12


def test_a_candidate_that_is_no_output_serves_where_it_is_no_worse():
    outputs = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [0, 1, 10, 10], [0, 0, 9, 10], [0, 0, 10, 9]])
    center, radius = best_center(outputs, Jaccard())
    assert radius == pytest.approx(float(Jaccard()(center[None], outputs).sort().values[2]))
    assert radius <= min(float(Jaccard()(box[None], outputs).sort().values[2]) for box in outputs)


def test_blocks_of_pairs_change_nothing(monkeypatch):
    outputs = torch.randn(40, 2)
    whole = best_center(outputs, L2())
    monkeypatch.setattr("smoothing.medoid.PAIRS_AT_ONCE", 100)
    assert best_center(outputs, L2())[1] == whole[1]


def test_the_three_stages_draw_fresh_samples():
    seen = []
    f = lambda batch: seen.append(batch.clone()) or batch  # noqa: E731
    h = CenterSmoothing(f, Gaussian(SIGMA), L2(), n=200, m=300, delta=0.3, batch_size=100)
    assert h.certify(torch.zeros(2), 0.1).status == "certified"
    noisy = torch.cat([batch for batch in seen if len(batch) == 100])  # those of the probe aside
    assert len(noisy.unique(dim=0)) == len(noisy) == 2 * 200 + 300


def test_one_set_of_draws_answers_many_eps():
    h = identity_smoothing()
    many = h.certify(torch.zeros(2), [0.1, 0.25, 0.5], example=0)
    assert [c.eps_in for c in many] == [0.1, 0.25, 0.5]
    assert sorted(c.eps_out for c in many) == [c.eps_out for c in many]
    for c in many:
        alone = h.certify(torch.zeros(2), c.eps_in, example=0)
        assert (alone.eps_out, alone.order_statistic, alone.status) == (c.eps_out, c.order_statistic, c.status)
        assert c.failure_probability == pytest.approx(0.01)
        assert c.center_radius < c.distance_quantile < c.eps_out


@pytest.mark.parametrize("bound", ["paper", "exact"])
def test_the_radius_is_the_order_statistic_times_three(bound):
    d = draws(np.arange(1, 20_001, dtype=float))
    c = read(d, 2 * SIGMA, bound=bound)
    p = Gaussian(SIGMA).mass(0.55, 2 * SIGMA)
    if bound == "paper":
        assert c.order_statistic == math.ceil((p + math.sqrt(math.log(200) / 40_000)) * 20_000)
    assert c.order_statistic >= p * 20_000
    assert c.distance_quantile == c.order_statistic
    assert 3 * c.distance_quantile <= c.eps_out <= 3 * c.distance_quantile * (1 + 1e-12)
    assert c.vacuous
    assert c.order_statistic >= read(d, 2 * SIGMA, bound="exact").order_statistic


def test_a_relaxed_triangle_inequality_widens_the_radius():
    class Squared(L2):
        gamma = 2.0

    c = certificate(draws(np.full(1000, 0.5)), 0.1, Gaussian(SIGMA), Squared(), CenterSettings())
    assert c.eps_out == pytest.approx(10 * 0.5)


def test_too_few_distances_fail_and_say_how_many_would_do():
    c = read(draws(np.zeros(100)), 2 * SIGMA, bound="paper")
    assert (c.status, c.eps_out, c.failure_probability) == ("failed", math.inf, 0.0)
    assert "at least 9425 are needed" in c.reason
    assert "at least 314 are needed" in read(draws(np.zeros(100)), 2 * SIGMA, bound="exact").reason
    assert "no number would do" in read(draws(np.zeros(100)), 200 * SIGMA).reason


def test_a_center_that_holds_too_little_abstains():
    c = read(draws(np.zeros(1000), inside=4500), 0.1)
    assert (c.status, c.eps_out, c.distance_quantile) == ("abstained", math.inf, math.inf)
    assert "Delta2" in c.reason
    assert read(draws(np.zeros(1000), inside=5500), 0.1).status == "certified"


def test_outputs_that_are_not_finite_count_as_outside():
    some = np.where(np.arange(1000) < 5, np.inf, 0.25)
    assert read(draws(some), SIGMA).status == "certified"
    assert read(draws(some), SIGMA).not_finite == pytest.approx(0.005)
    many = np.where(np.arange(1000) < 200, np.inf, 0.25)
    c = read(draws(many), SIGMA)
    assert (c.status, c.eps_out) == ("failed", math.inf)
    assert "not finite" in c.reason


def test_a_ball_without_a_finite_radius_is_about_distances():
    c = read(replace(draws(np.zeros(0)), center_radius=math.inf), SIGMA)
    assert (c.status, c.not_finite, c.reason) == ("abstained", 0, "half of the distances or more are not finite")


@pytest.mark.parametrize(("share", "status"), [(0.02, "certified"), (0.3, "failed"), (0.9, "abstained")])
def test_a_base_function_that_returns_nan_for_some_samples(share, status):
    def f(batch):
        cutoff = SIGMA * math.sqrt(2) * float(torch.erfinv(torch.tensor(1 - 2 * share)))
        return torch.where(batch[:, :1] > cutoff, torch.nan, batch[:, 1:])

    c = CenterSmoothing(f, Gaussian(SIGMA), L2(), n=2000, m=1000, delta=0.3).certify(torch.zeros(3), 0.1 * SIGMA)
    assert c.status == status
    assert (c.eps_out < math.inf) == (status == "certified")
    if status != "abstained":
        assert c.not_finite == pytest.approx(share, abs=0.05)
    assert not math.isnan(c.eps_out)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_the_batch_size_changes_nothing(batch_size):
    expected = identity_smoothing().certify(torch.zeros(3), 0.1)
    found = identity_smoothing(batch_size=batch_size).certify(torch.zeros(3), 0.1)
    assert (found.eps_out, found.status, found.smoothing_error) == (
        expected.eps_out,
        expected.status,
        expected.smoothing_error,
    )


def test_seed_and_example_choose_the_samples():
    eps_out = {
        (seed, example): identity_smoothing(seed=seed, delta=0.2).certify(torch.zeros(2), 0.1, example=example).eps_out
        for seed, example in itertools.product((0, 1), (0, 1))
    }
    assert len(set(eps_out.values())) == 4


def test_samples_are_reported_as_they_are_drawn():
    counted = []
    identity_smoothing(delta=0.2, on_samples=counted.append).certify(torch.zeros(2), 0.1)
    assert sum(counted) == 2 * 400 + 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, r"certifier\.n"),
        ({"m": 0}, r"certifier\.m"),
        ({"delta": 0.5}, r"certifier\.delta"),
        ({"alpha1": 0.0}, r"certifier\.alpha1"),
        ({"alpha2": 1.0}, r"certifier\.alpha2"),
        ({"bound": "papper"}, r"certifier\.bound"),
        ({"seed": -1}, "seed"),
        ({"batch_size": 0}, "batch_size"),
        ({"n": 100, "delta": 0.05}, "at least 7"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        identity_smoothing(**changes)


def test_infeasible_eps_are_refused_with_the_samples_that_would_do():
    with pytest.raises(SettingError, match=r"certifier\.m: 100 samples can never certify.*at least 9425"):
        identity_smoothing(m=100, bound="paper", n=2000, delta=0.05).require_feasible([0.1, 2 * SIGMA])
    with pytest.raises(SettingError, match="eps"):
        identity_smoothing().certify(torch.zeros(1), -1.0)


def test_inputs_are_floating_point():
    with pytest.raises(SettingError, match="floating-point"):
        identity_smoothing().smooth(torch.zeros(3, dtype=torch.uint8))


def test_the_least_n_named_is_the_least():
    with pytest.raises(SettingError, match=r"certifier\.n") as error:
        identity_smoothing(n=10, delta=0.05)
    least = int(str(error.value).split("at least ")[1].split()[0])
    identity_smoothing(n=least, delta=0.05)
    with pytest.raises(SettingError):
        identity_smoothing(n=least - 1, delta=0.05)


def test_needed_is_what_suffices():
    assert distances_needed(0.98, "exact", 0.005) == "at least 263 are needed"
    assert 0.98**263 <= 0.005 < 0.98**262


@pytest.mark.parametrize("bound", ["paper", "exact"])
def test_the_two_statements_about_a_center_share_alpha1(bound):
    """At x', Delta1 and Delta2 are each false with probability alpha1 / 2: a center that alpha1 would accept is not."""
    n, alpha1, b = 1000, 0.01, BOUNDS[bound]
    generous, strict = (b.median_margin(n, alpha) for alpha in (alpha1, alpha1 / 2))
    assert generous < strict
    settings = CenterSettings(bound, (generous + strict) / 2, alpha1, 0.005)
    assert "Delta1" in why_abstain(1.0, n, n, settings)
    assert why_abstain(1.0, n, n, replace(settings, delta=strict)) == ""
    inside = 490
    generous, strict = (0.5 - b.lower(inside, n, alpha) for alpha in (alpha1, alpha1 / 2))
    settings = replace(settings, delta=(generous + strict) / 2)
    assert settings.delta > b.median_margin(n, alpha1 / 2)  # so that it is Delta2 that is refused
    assert "Delta2" in why_abstain(1.0, inside, n, settings)
    assert why_abstain(1.0, inside, n, replace(settings, delta=strict)) == ""


def test_a_radius_is_vacuous_from_the_largest_distance_on():
    d = draws(np.full(1000, 0.5))
    eps_out = read(d, 0.1).eps_out
    for largest, vacuous in ((eps_out, True), (math.nextafter(eps_out, math.inf), False)):
        assert certificate(d, 0.1, Gaussian(SIGMA), L2(largest=largest), CenterSettings()).vacuous == vacuous
