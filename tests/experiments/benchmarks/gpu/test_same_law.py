"""The comparisons of `make gpu` find planted differences, and pass equal laws."""

import numpy as np
import pytest

from experiments.benchmarks.gpu import FAILED
from experiments.benchmarks.gpu.intervals import covered, idle_share, merged
from experiments.benchmarks.gpu.same_law import FALSE_ALARM, compared, p_of_counts, p_of_numbers

RANDOM = np.random.default_rng(0)


def counts(*probabilities, n=20_000):
    return RANDOM.multinomial(n, probabilities)


def test_counts_of_equal_laws_pass():
    smallest = min(p_of_counts(counts(0.6, 0.3, 0.0999, 0.0001), counts(0.6, 0.3, 0.0999, 0.0001)) for _ in range(300))
    assert 1e-4 < smallest < 0.05  # of 300


def test_a_planted_difference_of_counts_is_found():
    assert p_of_counts(counts(0.6, 0.3, 0.1), counts(0.57, 0.33, 0.1)) < FALSE_ALARM
    assert p_of_counts([0, 100, 0], [100, 0, 0]) < FALSE_ALARM


def test_classes_without_counts_and_a_single_class_are_equal():
    assert p_of_counts([50, 0, 50], [50, 0, 50]) == 1
    assert p_of_counts([500, 0], [500, 0]) == 1
    assert p_of_counts([500, 3], [500, 9]) > 0.01  # rare ones


@pytest.mark.parametrize("draw", [RANDOM.normal, RANDOM.exponential, lambda size: RANDOM.integers(3, size=size) / 3])
def test_numbers_of_equal_laws_pass(draw):
    assert min(p_of_numbers(draw(size=2000), draw(size=2000)) for _ in range(100)) > 1e-4


def test_a_planted_difference_of_numbers_is_found():
    numbers = RANDOM.normal(size=5000)
    assert p_of_numbers(numbers, RANDOM.normal(0.2, size=5000)) < FALSE_ALARM
    assert p_of_numbers(numbers, 1.3 * RANDOM.normal(size=5000)) < FALSE_ALARM
    assert p_of_numbers(numbers, np.where(numbers > 1, np.inf, numbers)) < FALSE_ALARM


@pytest.mark.parametrize("size", [1.0, 0.01, 0.001])
def test_a_planted_difference_of_small_numbers_is_found(size):
    """Distances may be small, and so many that each is close to the next."""
    numbers = size * RANDOM.uniform(size=20_000)
    assert p_of_numbers(numbers, 1.2 * size * RANDOM.uniform(size=20_000)) < FALSE_ALARM
    assert p_of_numbers(numbers, size * RANDOM.uniform(size=20_000)) > 1e-3


def test_rounding_tells_no_numbers_apart():
    values = RANDOM.choice([0.1234565, 0.3, 2.5], size=2000)
    assert p_of_numbers(values, values + RANDOM.normal(0, 1e-7, size=2000)) == 1
    assert p_of_numbers(values, np.where(values == 0.3, 0.3001, values)) < FALSE_ALARM
    never = np.full(2000, np.inf)
    assert p_of_numbers(never, never) == 1


def test_every_difference_is_named():
    lines = list(compared({"a": 0.5, "b": 1e-9, "c": float("nan")}))
    assert [line for line in lines if line.startswith(FAILED)] == lines[:2]
    assert "b: the laws differ" in lines[0]
    assert lines[-1].startswith("3 comparisons")


@pytest.mark.parametrize(
    ("intervals", "disjoint", "idle"),
    [
        ([], [], 0),
        ([(3, 7)], [(3, 7)], 0),
        ([(0, 2), (2, 4)], [(0, 4)], 0),
        ([(0, 9), (1, 2), (3, 10)], [(0, 10)], 0),
        ([(8, 10), (0, 2), (1, 4)], [(0, 4), (8, 10)], 0.4),
        ([(5, 5)], [(5, 5)], 0),
    ],
)
def test_intervals_are_merged(intervals, disjoint, idle):
    assert merged(intervals) == disjoint
    assert covered(intervals) == sum(end - begin for begin, end in disjoint)
    assert idle_share(intervals) == pytest.approx(idle)
