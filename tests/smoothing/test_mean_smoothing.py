"""The mean's certificate: its band, closed forms, coverage under known laws, planted mistakes, NaN."""

import itertools
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import beta, binomtest, norm

from smoothing import (
    BandAblation,
    DeterministicSplitting,
    ExactMeanSmoothing,
    Gaussian,
    MeanSmoothing,
    MedianSmoothing,
    SettingError,
    Splitting,
    Uniform,
    mean_guarantee,
)
from smoothing.mean_guarantee import Band, band, mean_certificate, moved, upper_mean
from smoothing.quantile_guarantee import QuantileDraws
from smoothing.statistics import clopper_pearson_lower

N, ALPHA, SIGMA, EPS, REPETITIONS = 300, 0.05, 0.5, 0.3, 4000
NOISE = Gaussian(SIGMA)


def draws(outputs, base=0.0):
    outputs = np.sort(np.array(outputs, dtype=float).reshape(len(outputs), -1), axis=0)
    return QuantileDraws(outputs, np.full(outputs.shape[1], base))


def refuted(count):
    return binomtest(count, REPETITIONS, ALPHA, alternative="greater").pvalue < 1e-4


def clipped_mean(center, low, high, sigma=SIGMA):
    """E of N(center, sigma^2) clipped to [low, high], by quadrature of its distribution function."""
    return high - quad(lambda t: norm.cdf((t - center) / sigma), low, high, epsabs=1e-11)[0]


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.5), (7, 0.01), (300, 0.05), (20_000, 1e-9)])
def test_levels_are_of_single_ranks_at_equal_shares_of_alpha(n, alpha):
    ranks, levels = band(n, alpha)
    assert ranks == tuple(sorted(set(ranks)))
    assert 1 <= ranks[0] <= ranks[-1] == n
    assert len(ranks) <= mean_guarantee.RANKS
    expected = beta.ppf(alpha / len(ranks), ranks, n + 1 - np.array(ranks))
    assert (np.array(levels) < expected).all()
    assert np.array(levels) == pytest.approx(expected, rel=1e-9)


def above(found):
    """How often a level is above the true probability of its rank, for samples of a uniform law."""
    random, places = np.random.default_rng(0), np.array(found.ranks) - 1
    return sum(bool((np.sort(random.random(N))[places] < found.levels).any()) for _ in range(REPETITIONS))


@pytest.mark.parametrize("bound", ["exact", "paper"])
def test_levels_hold_together(bound):
    count = above(band(N, ALPHA, bound))
    assert not refuted(count)
    assert count > 0.1 * ALPHA * REPETITIONS


def misses(k=1, low=-1.0, high=1.0, floor=False, found=None, shift=NOISE.shift):
    """How many of many intervals miss the exact mean at the worst x', for k coordinates that are each the identity.

    In each coordinate the worst x' is x +- eps = +-0.3. With `floor`, f rounds down, so the outputs are discrete.
    """
    found = found or band(N, ALPHA / (2 * k))
    at_other = Band(found.ranks, tuple(shift(p, EPS) for p in found.levels))
    places = np.arange(np.floor(low), high)
    exact = [clipped_mean(at, low, high) for at in (-EPS, EPS)]
    if floor:
        exact = [float(places[0] + sum(norm.sf((t - at) / SIGMA) for t in places[1:])) for at in (-EPS, EPS)]
    random = np.random.default_rng(0)
    count = 0
    for _ in range(REPETITIONS):
        outputs = SIGMA * random.standard_normal((N, k))
        c = mean_certificate(draws(np.floor(outputs) if floor else outputs), EPS, low, high, at_other, ALPHA)
        count += bool((c.lower > exact[0]).any() or (c.upper < exact[1]).any())
    return count


@pytest.mark.parametrize("given", [{}, {"k": 3}, {"low": -0.2, "high": 3.0}, {"low": -3.0, "high": 3.0, "floor": True}])
def test_intervals_hold_as_often_as_they_say(given):
    assert not refuted(misses(**given))


RANKS, LEVELS = band(N, ALPHA / 2)


@pytest.mark.parametrize(
    "planted",
    [
        {"shift": NOISE.mass},  # exchanged
        {"shift": lambda p, eps: p},  # no perturbation
        {"found": Band(RANKS, tuple(r / N for r in RANKS))},  # no band
        {"found": Band(RANKS, tuple(clopper_pearson_lower(r, N, 0.3) for r in RANKS))},  # alpha of each level
        {"found": Band(RANKS, (*LEVELS[6:], *LEVELS[-6:]))},  # a level of later ranks
        {"k": 4, "found": Band(RANKS, tuple(min(1.0, p + 0.06) for p in LEVELS))},
    ],
)
def test_a_wrong_interval_is_found(planted):
    assert refuted(misses(**planted))


def test_levels_that_each_have_all_of_alpha_are_found():
    ranks, _ = band(N, ALPHA)
    assert refuted(above(Band(ranks, tuple(clopper_pearson_lower(r, N, ALPHA) for r in ranks))))


@pytest.mark.parametrize("noise", [Gaussian(0.5), Gaussian(0.5, grid=255), Uniform(0.5), Splitting(0.5, 255)], ids=str)
def test_the_two_bounds_are_those_of_shift_and_of_mass(noise):
    """With an exactly known law, the bounds are the integrals of the docstring, from either side."""
    values, high = np.linspace(-1, 1, 201), 1.5
    levels = tuple(r / 201 for r in range(1, 202))
    at_other = moved(Band(tuple(range(1, 202)), levels), 0.2, noise)
    upper = upper_mean(values[:, None], -2.0, high, at_other)[0]
    lower = -upper_mean(-values[::-1, None], -high, 2.0, at_other)[0]
    ends = np.append(values, high)
    by_mass = (
        -2.0
        + (values[0] + 2.0)
        + sum(noise.mass(1 - p, 0.2) * step for p, step in zip(levels, np.diff(ends), strict=True))
    )
    assert upper == pytest.approx(by_mass, abs=1e-6)
    assert upper >= values.mean() >= lower
    starts = np.append(-2.0, values)
    by_shift = -2.0 + sum(noise.shift(p, 0.2) * step for p, step in zip(levels[::-1], np.diff(starts), strict=True))
    assert lower == pytest.approx(by_shift, abs=1e-6)


@pytest.mark.parametrize("bounds", [(-4.0, 4.0), (-1.0, 0.5)])
def test_a_linear_function_has_its_closed_form(bounds):
    """h(x') is the mean of a clipped normal, whose center moves by |w| eps."""
    weight, x = torch.tensor([1.2, -0.9]), torch.tensor([0.3, 0.2])
    low, high = bounds
    h = MeanSmoothing(lambda z: z @ weight, Gaussian(0.5), n=20_000, low=low, high=high, batch_size=4096)
    center, spread = float(x @ weight), 0.75
    for c in h.certify(x, [0.0, 0.1, 0.5], example=0):
        least, most = (clipped_mean(center + sign * 1.5 * c.eps_in, low, high, spread) for sign in (-1, 1))
        assert least - 0.12 < c.lower[0] < least
        assert most < c.upper[0] < most + 0.12
        assert c.width >= c.upper[0] - c.lower[0]
        assert c.estimate[0] == pytest.approx(clipped_mean(center, low, high, spread), abs=0.03)
        assert (c.status, c.failure_probability) == ("certified", 0.001)


def test_the_draws_are_those_of_the_median():
    f, x = (lambda z: z.sum(dim=1)), torch.zeros(2)
    mean = MeanSmoothing(f, NOISE, n=500, low=-2, high=2)
    median = MedianSmoothing(f, NOISE, n=500)
    kept = median.draw(x, example=3)
    assert (kept.outputs == mean.draw(x, example=3).outputs).all()
    assert (mean.read(kept, 0.1).lower == mean.certify(x, 0.1, example=3).lower).all()


@pytest.mark.parametrize(("k", "bound"), [(1, "exact"), (3, "exact"), (3, "paper")])
def test_alpha_is_shared_among_both_sides_of_all_coordinates(k, bound):
    h = MeanSmoothing(lambda z: z.repeat(1, k), NOISE, n=400, low=-2, high=2, alpha=0.06, bound=bound)
    c = h.certify(torch.zeros(1), 0.1, example=1)
    kept = h.draw(torch.zeros(1), example=1)
    expected = mean_certificate(kept, 0.1, -2.0, 2.0, moved(band(400, 0.03 / k, bound), 0.1, NOISE), 0.06)
    assert (c.lower == expected.lower).all()
    assert (c.upper == expected.upper).all()


def test_outputs_beyond_the_range_count_as_its_ends():
    """Far outputs do not widen an interval, and a bound may not rest on them."""
    outputs = np.concatenate([np.linspace(-1, 1, 40), np.full(20, 50.0)])
    far, near = certified(outputs), certified(np.minimum(outputs, 1.0))
    assert (far.lower, far.upper, far.estimate) == (near.lower, near.upper, near.estimate)
    assert far.upper[0] <= 1


def test_it_is_narrower_in_the_tails_than_the_band_of_kumar_et_al():
    """At equal levels on a range of 10 standard deviations: the inequality of Dvoretzky, Kiefer and Wolfowitz."""
    n, high = 2000, 10.0
    values = norm.ppf((np.arange(n) + 0.5) / n)[:, None]
    ours, theirs = (
        upper_mean(values, -high, high, moved(band(n, 0.0005, bound), 0.5, Gaussian(1.0)))[0]
        for bound in ("exact", "paper")
    )
    assert 0.5 < ours < 0.9
    assert theirs > 1.4


def certified(outputs, eps=0.1):
    return mean_certificate(draws(outputs), eps, -1.0, 1.0, moved(band(60, 0.025), eps, NOISE), 0.05)


def test_nan_is_on_the_wrong_side_of_both_bounds():
    """An interval with NaN contains the one for any values in their place."""
    random = np.random.default_rng(2)
    for _ in range(50):
        values, gone = random.standard_normal((60, 1)), random.random(60) < random.choice([0.05, 0.3])
        c = certified(np.where(gone[:, None], nan, values))
        assert c.not_finite == pytest.approx(gone.mean())
        for filled in (values, np.full_like(values, -inf), np.full_like(values, inf)):
            inner = certified(np.where(gone[:, None], filled, values))
            assert c.lower[0] <= inner.lower[0]
            assert inner.upper[0] <= c.upper[0]
    c = certified(np.full(60, nan))
    assert (c.status, c.failure_probability, c.lower[0], c.upper[0]) == ("failed", 0.0, -1.0, 1.0)
    assert np.isnan(c.estimate[0])


def test_a_row_that_says_nothing_fails():
    c = certified(np.linspace(-1, 1, 60), eps=100.0)
    assert (c.status, c.failure_probability) == ("failed", 0.0)
    assert c.reason == "nothing is known of a mean but that it is from -1 to 1"


def test_the_shape_of_the_output_is_kept():
    h = MeanSmoothing(lambda x: x.repeat(1, 6).view(-1, 2, 3), NOISE, n=500, low=-2, high=2)
    c = h.certify(torch.zeros(1), 0.1, example=0)
    assert c.lower.shape == c.upper.shape == c.estimate.shape == c.base_output.shape == (2, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, r"certifier\.n: expected at least 1"),
        ({"alpha": 1.0}, r"certifier\.alpha: expected a probability"),
        ({"low": 1.0}, r"certifier\.high: expected a finite number above certifier\.low = 1\.0, got 1"),
        ({"low": -inf}, r"certifier\.high: expected a finite number"),
        ({"high": nan}, r"certifier\.high"),
        ({"bound": "wide"}, r"certifier\.bound: expected exact or paper, got wide"),
    ],
)
def test_settings_out_of_range(given, message):
    with pytest.raises(SettingError, match=message):
        MeanSmoothing(lambda x: x, NOISE, **({"n": 100, "low": 0, "high": 1} | given))


def test_the_exact_mean_is_bounded_as_tightly_as_any_k_changes_allow():
    """Brute force: all ways in which k of L outputs become an end of the range. NaN may be either end."""
    random = np.random.default_rng(0)
    for trial in range(200):
        outputs = random.uniform(-1.3, 1.3, 5)
        outputs[random.random(5) < 0.2 * (trial % 3)] = nan
        k = int(random.integers(0, 7))
        c = mean_guarantee.exact_mean_certificate(draws(outputs), 0.1, -1.0, 1.0, k)
        for bound, end in ((float(c.lower[0]), -1.0), (float(c.upper[0]), 1.0)):
            known = np.where(np.isnan(outputs), end, outputs.clip(-1, 1))
            changed = [
                np.where([i in chosen for i in range(5)], end, known).mean()
                for chosen in itertools.combinations(range(5), min(k, 5))
            ]
            worst = max(changed, key=lambda mean: mean * end)
            assert bound == pytest.approx(worst, abs=1e-14)
            assert (bound - worst) * end >= 0  # outward
        assert (c.status == "certified") == (c.width < 2.0)
        assert c.failure_probability == 0


@pytest.mark.parametrize("noise", [DeterministicSplitting(0.4, 3, (2,)), BandAblation(1, (1, 1, 2))])
def test_no_input_within_eps_has_a_mean_outside(noise, monkeypatch):
    """All images of two pixels with four levels, under a random table of outputs."""
    levels = 3
    grid = [torch.tensor([i, j]) / levels for i in range(levels + 1) for j in range(levels + 1)]
    grid = [x.view(noise.shape) for x in grid]

    def f(batch):
        return torch.sin(40 * batch.nan_to_num(nan=2.0).flatten(1) @ torch.tensor([[1.0], [1.7]]))

    h = ExactMeanSmoothing(f, noise, low=-1, high=1)
    radii = [1.0] if isinstance(noise, BandAblation) else [1 / levels, 2 / levels]

    def within(moved, eps):  # a patch of one pixel, or l1
        return (moved > 0).sum() <= 1 if isinstance(noise, BandAblation) else moved.sum() <= eps + 1e-6

    def outside(of):
        found = 0
        for x, y in itertools.product(grid, grid):
            for c in of.certify(x, radii):
                if within((x - y).abs(), c.eps_in):
                    there = of.certify(y, 0.0).estimate[0]
                    found += not c.lower[0] - 1e-12 <= there <= c.upper[0] + 1e-12
        return found

    assert outside(h) == 0
    monkeypatch.setattr(type(noise), "affected", lambda self, eps: 0)
    assert outside(h) > 0


def test_the_exact_mean_needs_a_finite_noise_and_a_range():
    with pytest.raises(SettingError, match="too many noisy inputs"):
        ExactMeanSmoothing(lambda x: x, NOISE, low=0, high=1)
    with pytest.raises(SettingError, match=r"certifier\.high"):
        ExactMeanSmoothing(lambda x: x, DeterministicSplitting(0.5, 10, (1,)), low=0, high=0)


def test_the_smallest_numbers_are_rounded_outward_too():
    """Products of subnormal numbers have absolute errors of up to 2^-1075."""
    levels = (0.7, 0.7, 0.7)
    outputs, tiny = np.array([[1.0], [2.0], [3.0]]), 2.0**-1074
    bound = upper_mean(outputs * tiny, 0.0, 4 * tiny, Band((1, 2, 3), levels))
    assert Fraction(float(bound[0])) >= Fraction(tiny) * (4 - 3 * Fraction(levels[0]))
