"""Every run's table can be printed in the terminal."""

import numpy as np
import pandas as pd
import pytest

from experiments.report.terminal import summaries, table_summary, terminal_table
from experiments.runs.table import read_table
from smoothing import SmoothingError


def rows(**columns):
    return pd.DataFrame({"index": range(4), "seconds": 1.0} | columns)


def test_certified_accuracy_at_radii():
    status = ["certified", "certified", "abstained", "certified"]
    lines = table_summary(rows(status=status, correct=[True, True, False, False], radius=[0.6, 0.25, 0.0, 0.9]))
    assert lines[0] == "4 examples: 3 certified, 1 abstained; correct 50.0%"
    assert lines[1].split() == ["r", "0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]
    assert lines[2].split()[-7:] == ["0.500", "0.500", "0.500", "0.250", "0.250", "0.250", "0.250"]
    assert lines[3] == "ACR (average certified radius): 0.2125"


@pytest.mark.parametrize(
    ("predict", "label", "said"),
    [
        ([2] * 9, range(9), True),
        ([2] * 9, [2] * 9, False),  # the examples are of one class, too
        ([2] * 8 + [3], range(9), False),
        ([2] * 3 + [-1] * 6, range(9), False),  # few
    ],
)
def test_one_class_for_all_examples_is_suspicious(predict, label, said):
    table = pd.DataFrame({"index": range(9), "predict": predict, "label": label, "correct": True, "radius": 0.5})
    lines = table_summary(table.assign(status="certified"))
    assert ("all 9 predictions are class 2: is it the right checkpoint?" in lines) == said


@pytest.mark.parametrize(
    ("status", "why"), [("abstained", "all examples abstained"), ("certified", "no example is correct")]
)
def test_a_certified_accuracy_of_0_has_a_reason(status, why):
    lines = table_summary(rows(status=status, correct=False, radius=0.0))
    assert lines[1:] == [f"certified accuracy: 0 at every r, because {why}", "ACR (average certified radius): 0"]


def test_medians_with_abstentions_as_infinite():
    out = rows(eps_in=0.5, status=["certified", "certified", "abstained", "failed"], smoothing_error=0.1)
    header, line = table_summary(out.assign(eps_out=[1.0, 2.0, float("inf"), float("inf")]))
    assert header.split()[:4] == ["eps_in", "examples", "certified", "abstained"]
    assert line.split() == ["0.5", "4", "50%", "25%", "inf", "0.1"]


def test_attacks_predictions_and_the_undefended():
    attack = rows(factor=[1.0, 1.0, 2.0, 2.0], status=["attacked", "abstained", "attacked", "attacked"])
    lines = table_summary(attack.assign(success=[False, False, True, False]))
    assert lines[1].split() == ["1", "R", "2", "1", "0.0%"]
    assert lines[2].split() == ["2", "R", "2", "2", "50.0%"]
    assert table_summary(rows(status="predicted", correct=[True, True, True, False])) == [
        "4 examples: 4 predicted; correct 75.0%"
    ]
    fooled = table_summary(rows(status="fooled", correct=True, distance=[0.1, 0.2, 0.3, 0.4]))
    assert "not fooled within r" in fooled[2]


def test_reasons_stand_below_many_rows():
    reasons = [f"max(Delta1 = 0.0{k}, Delta2 = 0.1) > delta = 0.05" for k in range(10, 40)]
    table = pd.DataFrame({"index": range(31), "eps_in": 0.1, "eps_out": 1.0, "smoothing_error": 0.1})
    table = table.assign(status=["abstained"] * 30 + ["failed"], reason=[*reasons, "3 distances cannot bound"])
    lines = table_summary(table.assign(empty=[True] * 3 + [False] * 28))
    assert lines[-3] == "3 of 31 examples: the smoothed output is empty"
    shown = "max(Delta1 = 0.010, Delta2 = 0.1) > delta = 0.05"
    assert lines[-2] == f"30 abstained, for example: {shown}; raise certifier.n or certifier.delta"
    assert lines[-1] == "1 failed: 3 distances cannot bound"
    assert "empty" not in "".join(table_summary(table.assign(empty=False)))


def test_few_rows_come_with_their_reasons(write_center_run, tmp_path):
    folder = write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.1, [1.0, np.nan, np.nan])
    table = pd.read_csv(folder / "certificates.csv")
    reason = "max(Delta1 = 0.036, Delta2 = 0.1) > delta = 0.05"
    table["reason"] = ["half of the outputs or more are not finite" if k == 2 else reason for k in table["index"]]
    table.assign(vacuous=True).to_csv(folder / "certificates.csv", index=False)
    lines = terminal_table(folder).splitlines()
    assert [line.split()[4] for line in lines[1:7]] == ["vacuous"] * 2 + ["abstained"] * 4
    assert lines[7:] == [
        "",
        "vacuous: eps_out is at least the metric's largest distance, so it says nothing",
        f"2 abstained: {reason}; raise certifier.n or certifier.delta",
        "2 abstained: half of the outputs or more are not finite; look for NaN in the outputs of the "
        "model and the metric",
    ]
    of_one = terminal_table(folder, asked=[2]).splitlines()
    assert [line.split()[0] for line in of_one[1:3]] == ["2", "2"]
    assert of_one[3:] == ["", lines[-1], "2 of the table's 6 rows were asked for"]
    assert table_summary(read_table(folder))[0].split()[4] == "vacuous"
    assert table_summary(read_table(folder))[1].split()[2:5] == ["33%", "67%", "33%"]


def test_a_run_folder_and_a_folder_of_them(write_center_run, tmp_path):
    first = write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.1)
    write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.2)
    text = summaries([first])
    assert text.startswith(str(first))
    assert "sigma = 0.1" in text
    assert "cost: 1 run, 3 examples in all" in text
    assert summaries([tmp_path]).count("median eps_out") == 2
    assert "eps_in" in terminal_table(first)


def test_no_run_there(tmp_path):
    with pytest.raises(SmoothingError, match=r"table: no run\.json"):
        summaries([tmp_path])
