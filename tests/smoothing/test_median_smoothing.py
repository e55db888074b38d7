"""Median smoothing: ranks against their definition, coverage under known laws, brute force under a finite noise."""

from dataclasses import replace
from itertools import product
from math import ceil, inf, nan

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, norm

from smoothing import (
    DeterministicSplitting,
    ExactMedianSmoothing,
    Gaussian,
    MedianSmoothing,
    SettingError,
    Splitting,
    Uniform,
)
from smoothing.quantile_guarantee import QuantileDraws, bounds, exact_ranks, quantile_certificate, ranks

NOISES = [Gaussian(0.5), Gaussian(0.5, grid=255), Uniform(0.5), Splitting(0.5, 255)]


def draws(outputs, base=0.0):
    outputs = np.sort(np.array(outputs, dtype=float).reshape(len(outputs), -1), axis=0)
    return QuantileDraws(outputs, np.full(outputs.shape[1], base))


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize(("p", "n", "alpha"), [(0.5, 200, 0.01), (0.9, 100, 0.05), (0.1, 777, 1e-6)])
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.4])
def test_ranks_are_the_tightest_with_their_error(noise, p, n, alpha, eps):
    """Each rank's error, as a binomial tail, is at most alpha, and that of the next one is above it."""
    low, high = ranks(p, eps, noise, n, alpha)
    s, m = noise.shift(p, eps), noise.mass(p, eps)
    if high is None:
        assert m**n > alpha * (1 - 1e-6)
    else:
        assert binom.sf(high - 1, n, m) <= alpha
        assert high == 1 or binom.sf(high - 2, n, m) > alpha * (1 - 1e-6)
    if low is None:
        assert (1 - s) ** n > alpha * (1 - 1e-6)
    else:
        assert binom.cdf(low - 1, n, s) <= alpha * (1 + 1e-6)
        assert low == n or binom.cdf(low, n, s) > alpha * (1 - 1e-6)
    if low and high:
        assert low <= ceil(p * n) <= high


N, ALPHA, SIGMA, EPS, REPETITIONS = 300, 0.05, 0.5, 0.3, 4000


def misses(k, change=lambda low, high: (low, high), level=lambda alpha, k: alpha / (2 * k)):
    """How many of many intervals, of k independent coordinates each, miss a median at the worst x'.

    f is the identity on k numbers, so h(x') = x', and in each coordinate the worst x' are x +- eps. With several
    coordinates the worst x' of all together is asked for, which is more than the guarantee needs.
    """
    found = change(*ranks(0.5, EPS, Gaussian(SIGMA), N, level(ALPHA, k)))
    random = np.random.default_rng(0)
    count = 0
    for _ in range(REPETITIONS):
        lower, upper = bounds(draws(SIGMA * random.standard_normal((N, k))), found)
        count += bool((lower > -EPS).any() or (upper < EPS).any())
    return count


def refuted(count):
    return binomtest(count, REPETITIONS, ALPHA, alternative="greater").pvalue < 1e-4


@pytest.mark.parametrize("k", [1, 4])
def test_intervals_hold_as_often_as_they_say(k):
    count = misses(k)
    assert not refuted(count)
    assert count > 0.4 * ALPHA * REPETITIONS  # nor are they much wider than they must be


@pytest.mark.parametrize(
    "planted",
    [
        {"k": 4, "level": lambda alpha, k: alpha / 2},  # not shared among the coordinates
        {"k": 1, "level": lambda alpha, k: 3 * alpha},
        {"k": 1, "change": lambda low, high: (low + 6, high)},
        {"k": 1, "change": lambda low, high: (low, high - 6)},
        {"k": 1, "change": lambda low, high: (N + 1 - high, N + 1 - high)},  # the lower bound twice
    ],
)
def test_a_wrong_interval_is_found(planted):
    assert refuted(misses(**planted))


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_it_holds_for_discrete_outputs_too(p):
    """f rounds down: the bounds are equal to the quantile for most samples, and hold as often as they say."""
    found = ranks(p, EPS, Gaussian(SIGMA), N, ALPHA / 2)
    random = np.random.default_rng(1)
    quantile = norm.ppf(p) * SIGMA
    lowest, highest = np.floor(0.2 - EPS + quantile), np.floor(0.2 + EPS + quantile)  # at x' = 0.2 -+ eps
    count = 0
    for _ in range(REPETITIONS):
        lower, upper = bounds(draws(np.floor(0.2 + SIGMA * random.standard_normal(N))), found)
        count += bool(lower[0] > lowest or upper[0] < highest)
    assert not refuted(count)


def test_nan_is_on_the_wrong_side_of_every_bound():
    """Replacing outputs by NaN never narrows an interval, and an interval with NaN contains the one for any value."""
    random = np.random.default_rng(2)
    for _ in range(200):
        values = random.standard_normal((30, 1))
        gone = random.random(30) < random.choice([0.0, 0.1, 0.5])
        low, high = sorted(random.integers(1, 31, size=2))
        lower, upper = bounds(draws(np.where(gone[:, None], nan, values)), (low, high))
        for filled in (values, np.full_like(values, -inf), np.full_like(values, inf)):
            inner = bounds(draws(np.where(gone[:, None], filled, values)), (low, high))
            assert lower[0] <= inner[0][0]
            assert inner[1][0] <= upper[0]


def test_outputs_that_are_not_finite_are_refused_with_their_share():
    outputs = np.concatenate([np.linspace(0, 1, 60), np.full(40, nan)])
    certificate = quantile_certificate(draws(outputs), 0.1, 0.5, (20, 80), 0.01)
    assert (certificate.status, certificate.failure_probability, certificate.width) == ("failed", 0.0, inf)
    assert certificate.reason == "a bound is not finite: 40.0% of the outputs are NaN or infinite"
    assert quantile_certificate(draws(outputs), 0.1, 0.5, (41, 60), 0.01).status == "certified"
    assert quantile_certificate(draws(outputs), 0.1, 0.5, (40, 60), 0.01).status == "failed"


def test_a_row_without_a_rank_says_so():
    certificate = quantile_certificate(draws(np.arange(10.0)), 0.1, 0.5, (None, 8), 0.01)
    assert (certificate.status, certificate.lower_rank, certificate.upper_rank) == ("failed", 0, 8)
    assert "no order statistic of 10 outputs" in certificate.reason
    assert certificate.lower[0] == -inf


def test_a_linear_function_has_its_closed_form():
    weight = torch.tensor([3.0, -4.0])
    h = MedianSmoothing(lambda x: x @ weight, Gaussian(0.5), n=20_000, alpha=0.001, batch_size=4096)
    x = torch.tensor([0.3, 0.1])
    for c in h.certify(x, [0.0, 0.1, 0.5], example=0):
        exact, reach = float(x @ weight), 5 * c.eps_in
        assert c.lower.shape == (1,)
        assert exact - reach - 0.2 < c.lower[0] < exact - reach
        assert exact + reach < c.upper[0] < exact + reach + 0.2
        assert c.width >= c.upper[0] - c.lower[0]
        assert c.estimate[0] == pytest.approx(exact, abs=0.06)
        assert c.base_output[0] == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_alpha_is_shared_among_both_sides_of_all_coordinates(k):
    c = MedianSmoothing(lambda z: z.repeat(1, k), Gaussian(0.5), n=400, alpha=0.06).certify(torch.zeros(1), 0.1)
    assert (c.lower_rank, c.upper_rank) == ranks(0.5, 0.1, Gaussian(0.5), 400, 0.03 / k)
    assert (c.lower_rank, c.upper_rank) != ranks(0.5, 0.1, Gaussian(0.5), 400, 0.06 / k)


def test_the_shape_of_the_output_is_kept():
    h = MedianSmoothing(lambda x: x.repeat(1, 6).view(-1, 2, 3), Gaussian(0.5), n=500)
    c = h.certify(torch.zeros(1), 0.1, example=0)
    assert c.lower.shape == c.upper.shape == c.estimate.shape == c.base_output.shape == (2, 3)


# Every x' on a tiny grid. lambda = 3.5 / 3, so L = 7.
LEVELS = 3
FINITE = DeterministicSplitting(sigma=0.68, levels=LEVELS, shape=(2,), seed=1)
GRID = [torch.tensor(point) / LEVELS for point in product(range(LEVELS + 1), repeat=2)]


def table(seed):
    """A function of two noisy coordinates with random values, some of them NaN or infinite."""
    random = np.random.default_rng(seed)
    values = random.choice([*range(-4, 5), nan, inf, -inf], size=4096, p=[0.1] * 9 + [0.04, 0.03, 0.03])

    def f(batch):
        place = ((batch * 36).round().long() * torch.tensor([61, 7])).sum(dim=1) % 4096
        return torch.from_numpy(values)[place]

    return f


def exact_interval(outputs, p):
    """The least and the largest value of the p-quantile over all replacements of NaN."""
    rank = ceil(p * len(outputs)) - 1
    return [np.sort(np.where(np.isnan(outputs), filled, outputs))[rank] for filled in (-inf, inf)]


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_brute_force_finds_nothing_outside(p):
    assert FINITE.steps == 7
    tight = 0
    for seed in range(30):
        h = ExactMedianSmoothing(table(seed), FINITE, p=p)
        at = {}
        for x in GRID:
            outputs = torch.cat([h.f(batch) for batch in FINITE.enumerate(x, 64)]).numpy()[:, 0]
            at[tuple((x * LEVELS).round().int().tolist())] = exact_interval(outputs, p)
        for x in GRID[::5]:
            center = (x * LEVELS).round().int().tolist()
            for steps, c in enumerate(h.certify(x, [0.0, 1 / LEVELS, 2 / LEVELS])):
                near = [at[q] for q in at if abs(q[0] - center[0]) + abs(q[1] - center[1]) <= steps]
                assert c.lower[0] <= min(low for low, _ in near)
                assert c.upper[0] >= max(high for _, high in near)
                tight += c.lower[0] == min(low for low, _ in near)
    assert tight > 100  # the bounds are reached


def test_exact_ranks_one_step_too_narrow_are_found(monkeypatch):
    from smoothing import median_smoothing

    def narrower(p, eps, noise):
        low, high = exact_ranks(p, max(0.0, eps - 1 / LEVELS), noise)
        return low, high

    monkeypatch.setattr(median_smoothing, "exact_ranks", narrower)
    with pytest.raises(AssertionError):
        test_brute_force_finds_nothing_outside(0.5)


def test_draws_are_read_again_for_another_alpha_and_quantile():
    wide = MedianSmoothing(lambda x: x, Gaussian(0.5), n=400, alpha=1e-6)
    kept = wide.draw(torch.zeros(2), example=3)
    narrow = MedianSmoothing(lambda x: x, Gaussian(0.5), n=400, alpha=0.1, p=0.6)
    again, fresh = narrow.read(kept, 0.1), narrow.certify(torch.zeros(2), 0.1, example=3)
    assert (again.lower == fresh.lower).all()
    assert (again.upper == fresh.upper).all()
    assert again.width < wide.read(kept, 0.1).width


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, r"certifier\.n: expected at least 1"),
        ({"alpha": 0.0}, r"certifier\.alpha: expected a probability"),
        ({"alpha": nan}, r"certifier\.alpha"),
        ({"p": 1.0}, r"certifier\.p: expected a probability strictly between 0 and 1"),
    ],
)
def test_settings_out_of_range(given, message):
    with pytest.raises(SettingError, match=message):
        MedianSmoothing(lambda x: x, Gaussian(0.5), **({"n": 100} | given))


def test_too_few_samples_are_refused_with_the_number_that_suffices():
    h = MedianSmoothing(lambda x: x, Gaussian(0.5), n=100)
    with pytest.raises(SettingError, match=r"100 samples can never certify eps=1 .* at least \d+ are") as caught:
        h.cases([0.1, 1.0])
    needed = int(str(caught.value).split("at least ")[1].split()[0])
    MedianSmoothing(lambda x: x, Gaussian(0.5), n=needed).cases([1.0])
    with pytest.raises(SettingError):
        MedianSmoothing(lambda x: x, Gaussian(0.5), n=needed - 1).cases([1.0])


def test_outputs_that_cannot_be_kept_are_refused():
    h = MedianSmoothing(lambda x: x.repeat(1, 10_000), Gaussian(0.5), n=2000)
    with pytest.raises(SettingError, match=r"at most 16,777,216 output numbers .*got 20,000,000"):
        h.certify(torch.zeros(1), 0.1)


def test_a_noise_that_is_not_finite_has_no_exact_certificate():
    with pytest.raises(SettingError, match="too many noisy inputs"):
        ExactMedianSmoothing(lambda x: x, Gaussian(0.5))


def test_rows_say_how_many_samples_they_took():
    assert MedianSmoothing.evaluations({"n": 2000}, {}) == 2000
    drawn = replace(draws(np.arange(7.0)), base_output=np.zeros(1))  # FINITE has 7 noisy inputs
    assert ExactMedianSmoothing(lambda x: x, FINITE).statements(drawn, [0.0])[0].n == 7
