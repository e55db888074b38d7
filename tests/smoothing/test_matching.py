"""The least samples for a certificate no looser than the paper's: against every smaller number, and by simulation."""

import numpy as np
import pytest

from smoothing import CenterSettings, Gaussian, SettingError
from smoothing.center_bounds import BOUNDS
from smoothing.center_guarantee import why_abstain
from smoothing.matching import ACCEPTED, _work, least_center_samples, least_distances, matched_samples, matched_settings
from smoothing.statistics import exact_order_statistic, hoeffding_margin

SIGMA, SETTINGS = 0.5, CenterSettings()


def mass(h):
    return Gaussian(SIGMA).mass(0.5 + SETTINGS.delta, h * SIGMA)


@pytest.mark.parametrize(("h", "m", "least"), [(2, 10**6, 40_822), (2, 10**4, 440), (1, 10**4, 2810)])
def test_the_least_distances_are_those_of_the_exact_order_statistic(h, m, least):
    found = least_distances(m, [mass(h)], SETTINGS.alpha2)
    assert found == least
    q = mass(h) + hoeffding_margin(m, SETTINGS.alpha2)
    tried = range(found - 150, found) if m > 10**4 else range(1, found)
    assert exact_order_statistic(mass(h), found, SETTINGS.alpha2) <= q * found
    for fewer in tried:
        k = exact_order_statistic(mass(h), fewer, SETTINGS.alpha2)
        assert k is None or k > q * fewer


@pytest.mark.parametrize("m", [500, 10**4, 3 * 10**5])
def test_matched_quantiles_are_no_higher_than_the_papers_for_any_eps(m):
    eps = [radius * SIGMA for radius in (0.5, 0.8, 1.0)]
    n, found = matched_samples(10**4, m, eps, Gaussian(SIGMA), SETTINGS)
    assert found < m
    for radius in eps:
        p = Gaussian(SIGMA).mass(0.55, radius)
        ours = BOUNDS["exact"].order_statistic(p, found, SETTINGS.alpha2)
        assert ours / found <= BOUNDS["paper"].order_statistic(p, m, SETTINGS.alpha2) / m
    assert n == least_center_samples(10**4, SETTINGS)


@pytest.mark.parametrize("delta", [0.1, 0.2])
def test_the_least_center_samples_are_the_least_that_are_accepted_often(delta):
    settings, draw = CenterSettings(delta=delta), np.random.default_rng(0)
    least = least_center_samples(10**4, settings)

    def accepted(n):
        radius = np.sort(draw.random((2000, n)), axis=1)[:, (n + 1) // 2 - 1]  # distances, uniform: their own masses
        inside = draw.binomial(n, radius)
        answers = {k: why_abstain(1.0, int(k), n, settings) == "" for k in np.unique(inside)}
        return np.mean([answers[k] for k in inside])

    error = 4 * (ACCEPTED * (1 - ACCEPTED) / 2000) ** 0.5
    assert ACCEPTED - error < accepted(least) < ACCEPTED + 2 * error
    assert accepted(int(0.7 * least)) < ACCEPTED - error
    assert all(least_center_samples(n, settings) == least for n in (least, least + 1, 3 * least))
    assert least_center_samples(least - 1, settings) == least - 1


def test_no_more_samples_are_asked_for_than_the_papers():
    assert matched_samples(600, 60, [0.01], Gaussian(SIGMA), CenterSettings(delta=0.08))[0] == 600
    assert least_distances(3, [0.0], 0.005) <= 3


def test_what_the_paper_cannot_certify_is_not_matched():
    for n, m, eps, message in (
        (100, 10**6, [0.1], r"certifier\.n: 100 samples always abstain.*bound=paper"),
        (10**4, 1000, [2 * SIGMA], r"certifier\.m: 1000 samples can never certify.*bound=paper"),
        (10**4, 10**6, [], "eps"),
    ):
        with pytest.raises(SettingError, match=message):
            matched_samples(n, m, eps, Gaussian(SIGMA), SETTINGS)


@pytest.mark.parametrize("h", [1.0, 2.0])
def test_a_smaller_delta_is_less_work_for_a_quantile_no_higher(h):
    noise, eps = Gaussian(SIGMA), [h * SIGMA]
    n, m, delta = matched_settings(10**4, 10**6, eps, noise, SETTINGS)
    same_n, same_m = matched_samples(10**4, 10**6, eps, noise, SETTINGS)
    assert 0 < delta < SETTINGS.delta
    assert 2 * n + m < 0.65 * (2 * same_n + same_m)
    assert _work(n, m) < 0.8 * _work(same_n, same_m)
    assert n <= 10**4
    assert least_center_samples(10**4, CenterSettings(delta=delta)) == n
    rank = BOUNDS["exact"].order_statistic(noise.mass(0.5 + delta, eps[0]), m, SETTINGS.alpha2)
    papers = BOUNDS["paper"].order_statistic(noise.mass(0.5 + SETTINGS.delta, eps[0]), 10**6, SETTINGS.alpha2)
    assert rank / m <= papers / 10**6


def test_delta_stays_where_the_center_takes_most_of_the_samples():
    eps = [2 * SIGMA]
    assert matched_settings(5000, 10**4, eps, Gaussian(SIGMA), SETTINGS) == (
        *matched_samples(5000, 10**4, eps, Gaussian(SIGMA), SETTINGS),
        SETTINGS.delta,
    )
