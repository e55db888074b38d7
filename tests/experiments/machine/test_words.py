"""Numbers in messages: nothing is said of 1 threads."""

import pandas as pd
import pytest

from experiments.machine.words import counted, device_text
from experiments.report.costs import Cost, provenance_of
from experiments.report.left_out import NO_ROWS, LeftOut, explanation
from experiments.report.terminal import table_summary
from experiments.report.titles import examples_text
from experiments.runs.reader import StoredRun


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2000, "2,000 rows")])
def test_a_number_and_its_noun(count, text):
    assert counted(count, "row") == text


def test_a_device_in_a_record(tmp_path):
    assert [device_text(f"cpu, {k} threads") for k in (1, 11)] == ["cpu, 1 thread", "cpu, 11 threads"]
    record = {"identity": {"certifier": {"type": "Certify"}}, "device": "cpu, 1 threads"}
    assert provenance_of([StoredRun(tmp_path, record)])["hardware"] == "cpu, 1 thread"


def test_one_of_everything(tmp_path):
    assert str(Cost(1, 1, 1, 2.0)) == "1 run, 1 example in all, 1 sample, 2 s of computing"
    assert [examples_text(counts) for counts in ([1], [1, 1], [1, 4], [1000])] == [
        "1 test example",
        "1 test example",
        "1 to 4 test examples",
        "1,000 test examples",
    ]
    row = pd.DataFrame({"index": [0], "status": ["predicted"], "correct": [True]})
    assert table_summary(row) == ["1 example: 1 predicted; correct 100.0%"]
    run = StoredRun(tmp_path, {"identity": {}})
    head, _ = explanation([LeftOut(run, NO_ROWS)], 1, elsewhere=True)
    assert head == "The only run found is not shown:"
