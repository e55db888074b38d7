"""The noise of the test examples: orderings of equal runs hold by chance at most, and nothing holds of nothing."""

from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pytest

from experiments.report.certified_accuracy import better_than_one_class, compared, mean_radii
from experiments.report.claims import verdicts
from experiments.report.measured import largest_ratio, measured, medians, ratio_of_medians
from experiments.runs.reader import StoredRun

TRIALS = 100


def share_that_holds(found, paper):
    return np.mean([paper - one.value > one.noise for one in found])


def test_of_two_equal_samples_one_is_rarely_smaller():
    rng = np.random.default_rng(1)
    pairs = [[pd.Series(rng.uniform(1, 2, 50)) for _ in range(2)] for _ in range(TRIALS)]
    assert share_that_holds([ratio_of_medians([a], [b]) for a, b in pairs], 1) < 0.06  # 2.5%, but for chance
    assert share_that_holds([ratio_of_medians([a], [b + 1]) for a, b in pairs], 1) == 1


def run_of(correct, radius, classes=10):
    count = len(correct)
    label = np.arange(count) % classes
    table = pd.DataFrame({"index": range(count), "label": label, "correct": correct, "radius": radius})
    run = StoredRun(None, {})
    run.__dict__["table"] = table
    return run


def test_of_two_equally_good_runs_neither_certifies_more():
    rng = np.random.default_rng(2)

    def run():
        return run_of(rng.random(100) < 0.8, rng.uniform(0, 1, 100))

    def gap(radii):
        first, second = mean_radii(radii)
        return float(first - second)

    pairs = [(run(), run()) for _ in range(TRIALS)]
    assert share_that_holds([compared(gap, *pair) for pair in pairs], 0) < 0.06
    constant = run_of(np.arange(100) % 10 == 0, np.ones(100))
    assert isnan(compared(gap, constant, pairs[0][0]).noise)  # void


def test_a_comparison_on_the_same_examples_is_paired():
    rng = np.random.default_rng(3)
    values = pd.Series(np.exp(rng.normal(0, 2, 40)))
    close = ratio_of_medians([values], [values * 1.01])
    assert close.value == pytest.approx(1 / 1.01)
    assert close.noise < 1e-9  # the median changes with the examples, but the ratio does not
    other = ratio_of_medians([values], [pd.Series(values.to_numpy() * 1.01, index=values.index + 100)])
    assert other.noise > 0.1  # other examples


@pytest.mark.parametrize(
    ("correct", "better"),
    [
        (np.arange(100) % 10 == 3, False),  # one class for every example
        (np.zeros(100, bool), False),
        (np.random.default_rng(0).random(100) < 0.1, False),
        (np.arange(100) % 10 < 3, True),
    ],
)
def test_what_is_better_than_one_class(correct, better):
    assert better_than_one_class(run_of(correct, np.ones(100))) == better


def test_medians_ignore_missing_examples_and_count_infinite_ones():
    assert medians(np.array([[1.0, 2.0, nan], [3.0, inf, inf], [nan, 4.0, nan]])).tolist() == [1.5, inf, 4.0]
    assert medians(np.array([[1.0, 2.0, 3.0, inf], [3.0, 1.0, inf, inf]])).tolist() == [2.5, inf]
    assert isnan(medians(np.array([[nan, nan]]))[0])


@pytest.mark.parametrize(
    ("above", "below"), [([0.0], [0.0]), ([1.0], [0.0]), ([1.0], [inf]), ([inf], [inf]), ([nan], [1.0]), ([], [])]
)
def test_no_ordering_holds_of_nothing(tmp_path, above, below):
    ratio = largest_ratio(np.array(above), np.array(below))
    assert not ratio < 1
    row = "f,c,q,below,1,0,an ordering,trend"
    (tmp_path / "claims.csv").write_text(f"figure,claim,quantity,relation,paper,tolerance,reason,kind\n{row}\n")
    case = (
        ratio if not above else measured(lambda m: largest_ratio(m[:1, 0], m[1:, 0]), *map(pd.Series, (above, below)))
    )
    assert not verdicts(tmp_path / "claims.csv", "f", {"q": {"x": case}})["within"].any()
