"""Statuses of figures, computed from the verdicts on their checks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.papers.cohen2019.results import EXPECTED
from experiments.report.artefacts import (
    Status,
    reason_of,
    status_of,
    verdict_table,
)
from experiments.report.claims import KINDS, ROW, all_rows, beside_paper, number_rows, share_tolerances
from experiments.report.figure import CONF, Drawing, Drawn
from experiments.runs.reader import StoredRun


def drawn_of(within, kind="trend", data="MNIST"):
    rows = {"claim": "c", "case": "x", "quantity": "q", "relation": "below", "kind": kind, "paper": 1.0}
    rows |= {"ours": 0.5, "difference": -0.5, "tolerance": 0.0, "reason": "an ordering"}
    fails = {"ours": 1.5, "difference": 0.5}
    said = [rows | {"within": value} | ({} if value else fails) for value in within]
    claims = pd.DataFrame(said, columns=list(ROW)) if within else None
    record = {"identity": {"dataset": {"type": data}}, "config": {"name": "mine"}}
    runs = [StoredRun(Path("none"), record)] if data else []
    drawing = Drawing(None, pd.DataFrame(), pd.DataFrame() if claims is None else claims, [])
    return Drawn(Path("figures/f"), drawing, runs)


@pytest.mark.parametrize(
    ("within", "kind", "data", "status"),
    [
        ([True, True], "number", "MNIST", Status.REPRODUCED),
        ([True], "trend", "MNIST", Status.TREND),
        ([True], "number", "Digits", Status.TREND),
        ([True], "trend", None, Status.TREND),
        ([True], "number", None, Status.REPRODUCED),
        ([True], "theorem", None, Status.THEOREM),
        ([True, True], "theorem", "MNIST", Status.THEOREM),
        ([True, False], "theorem", "Digits", Status.DIFFERS),
        ([True], "number", "Classes", Status.TREND),
        ([True, True], "ours", "MNIST", Status.DRAWN),
        ([True, False], "ours", "MNIST", Status.DIFFERS),
        ([True, False], "number", "MNIST", Status.DIFFERS),
        ([False], "trend", "Digits", Status.DIFFERS),
        ([], "trend", "MNIST", Status.DRAWN),
    ],
)
def test_statuses(within, kind, data, status):
    drawn = drawn_of(within, kind, data)
    assert status_of(drawn) == status
    assert ("instead of" in reason_of(drawn)) == (data in ("Digits", "Classes"))


def test_our_own_checks_do_not_count_beside_those_of_the_paper():
    papers, ours = drawn_of([True], "trend").drawing.claims, drawn_of([True, False], "ours").drawing.claims
    drawn = Drawn(Path("f"), Drawing(None, pd.DataFrame(), all_rows(papers, ours), []), drawn_of([True]).runs)
    assert status_of(drawn) == Status.TREND
    assert reason_of(drawn).endswith("; of 2 checks of our own certificate, 1 hold")


def test_theorems_make_no_reproduction_beside_evidence_and_break_one():
    number, trend, theorem = (drawn_of([True], kind).drawing.claims for kind in ("number", "trend", "theorem"))
    broken = drawn_of([False], "theorem").drawing.claims
    for parts, status in (
        ((number, theorem), Status.REPRODUCED),
        ((trend, theorem), Status.TREND),
        ((number, broken), Status.DIFFERS),
        ((drawn_of([True], "ours").drawing.claims, theorem), Status.THEOREM),
    ):
        drawn = Drawn(Path("f"), Drawing(None, pd.DataFrame(), all_rows(*parts), []), drawn_of([True]).runs)
        assert status_of(drawn) == status
    assert reason_of(drawn).startswith("the one check that is true by construction holds: a test of the code")


def test_an_ordering_within_the_noise_is_neither_reproduced_nor_contradicted():
    close = drawn_of([True]).drawing.claims.assign(within=False, tolerance=-0.6)  # 0.5 < 1, by less than 0.6
    drawn = Drawn(Path("f"), Drawing(None, pd.DataFrame(), close, []), drawn_of([True]).runs)
    assert status_of(drawn) == Status.UNDECIDED
    assert reason_of(drawn) == "no check fails, but 1 of 1 checks is within the noise of the test examples"
    assert verdict_table(close)[0][-2:] == ["-0.6", "too close to tell"]
    void = close.assign(tolerance=float("nan"))
    drawn = Drawn(Path("f"), Drawing(None, pd.DataFrame(), void, []), drawn_of([True]).runs)
    assert status_of(drawn) == Status.DIFFERS
    assert verdict_table(void)[0][-2:] == ["void", "does not hold"]


@pytest.mark.parametrize(("within", "status"), [(True, Status.DRAWN), (False, Status.DIFFERS)])
def test_too_few_runs_reproduce_nothing_though_their_checks_hold(within, status):
    claims = drawn_of([within]).drawing.claims
    drawing = Drawing(None, pd.DataFrame(), claims, [], partial="one noise level cannot show a trend")
    drawn = Drawn(Path("a"), drawing, [])
    assert status_of(drawn) == status
    assert ("one noise level cannot show a trend" in reason_of(drawn)) == within


def test_failing_checks_come_first():
    table = verdict_table(drawn_of([True, False, True]).drawing.claims)
    assert [line[-1] for line in table] == ["does not hold", "holds", "holds"]
    assert table[0][:6] == ["q: x", "trend", "< 1", "1.5", "+0.5", "0"]


def test_tolerances_follow_from_the_number_of_examples():
    paper, allowance = pd.Series([0.5, 0.5, 0.5, 0.0, 0.0]), pd.Series([0.02, 0.02, 0.02, 0.02, 0.0])
    population, examples = pd.Series([10000, 10000, 10000, 10000, 0]), pd.Series([100, 500, 10000, 100, 100])
    found = share_tolerances(paper, allowance, population, examples)
    assert found[0] == pytest.approx(0.02 + 2 * np.sqrt(0.25 / 100 * 0.99))
    assert found[1] < found[0]
    assert found[2] == 0.02  # the whole test set: no chance in its choice
    assert 0.02 < found[3] < 0.04  # a printed 0.00 may be 0.005
    assert found[4] == 0  # a number that no choice of examples changes


def test_printed_numbers_become_verdicts():
    table = pd.DataFrame({"sigma": [0.25, 0.25], "radius": [0.0, 9.0], "accuracy": [0.9, 0.1], "examples": [500, 500]})
    both = beside_paper(EXPECTED, "cohen_table_cifar10", table, "sigma", "radius", "accuracy")
    rows = number_rows(both, "table 3", "certified accuracy", ["r = 0", "r = 9"], "accuracy")
    assert rows["case"].tolist() == ["r = 0"]  # the paper prints nothing at 9
    assert tuple(rows) == ROW
    assert rows["paper"].tolist() == [0.77]
    assert rows["within"].tolist() == [False]
    assert rows["kind"].tolist() == ["number"]


def test_a_share_of_0_or_of_a_run_that_certifies_nothing_agrees_with_no_printed_share():
    printed = {"sigma": [0.5, 0.5, 0.5], "radius": [1.5, 1.5, 1.5], "accuracy": [0.08, 0.0, 0.08], "examples": [10] * 3}
    table = pd.DataFrame(printed | {"works": [True, True, False]})
    both = beside_paper(EXPECTED, "cohen_table_cifar10", table, "sigma", "radius", "accuracy")
    assert both["within"].tolist() == [True, False, False]
    assert both["tolerance"].isna().tolist() == [False, True, True]
    zero = pd.DataFrame({"sigma": [0.25], "radius": [1.5], "accuracy": [0.0], "examples": [10], "works": [False]})
    both = beside_paper(EXPECTED, "cohen_table_cifar10", zero, "sigma", "radius", "accuracy")
    assert both[["within", "kind"]].iloc[0].tolist() == [True, "theorem"]  # true by construction, and no evidence


def test_every_check_has_a_kind_and_a_reason():
    for path in (CONF.parent / "experiments" / "papers").glob("*/[ce][lx]*.csv"):  # claims.csv, expected.csv
        table = pd.read_csv(path)
        assert set(table["kind"]) <= set(KINDS)
        assert table["reason"].notna().all()
