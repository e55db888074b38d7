"""Output without a terminal: a line at the start, occasional lines, and a line at the end."""

from contextlib import suppress

import pytest
from torch import nn, zeros

from experiments.certifying import progress
from experiments.certifying.progress import Progress, announcement, duration
from smoothing import Gaussian, Predict

CERTIFIED, ABSTAINED = {"status": "certified"}, {"status": "abstained"}


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by clock.seconds."""

    class Clock:
        seconds = 0.0

    monkeypatch.setattr(progress.time, "perf_counter", lambda: Clock.seconds)
    return Clock


def test_a_line_a_minute_within_one_long_example(clock, capsys):
    with Progress(2, 1000, lines=True) as bar:
        for _ in range(10):
            clock.seconds += 30
            bar.samples(10)
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines == [
        f"example 0 of 2 done, 0 certified; {samples} samples, about {duration(3 * (2000 - samples))} left"
        for samples in (20, 40, 60, 80, 100)
    ]
    assert last == "example 0 of 2 done, 0 certified; 5 min in all"


def test_a_line_a_tenth_unless_one_was_just_printed(clock, capsys):
    with Progress(20, 100, lines=True) as bar:
        for k in range(20):
            clock.seconds += 4
            bar.example([CERTIFIED, ABSTAINED if k % 2 else CERTIFIED])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "example 2 of 20 done, 1 certified; 200 samples, about 72 s left"
    assert len(lines) == 10
    assert lines[-1] == "example 20 of 20 done, 10 certified; 80 s in all"


def test_a_quick_run_is_one_line(clock, capsys):
    with Progress(50, 1, lines=True) as bar:
        for _ in range(50):
            clock.seconds += 0.001
            bar.example([CERTIFIED])
    assert capsys.readouterr().err == "example 50 of 50 done, 50 certified; 0 s in all\n"


def test_no_lines_beside_the_bar_of_a_terminal(clock, capsys):
    with Progress(2, 10, lines=False) as bar:
        clock.seconds += 100
        bar.example([CERTIFIED])
    assert "done" not in capsys.readouterr().err


def test_the_start_says_device_folder_examples_samples_and_time(tmp_path):
    certifier = Predict(nn.Linear(4, 2), Gaussian(0.5), n=300, batch_size=10)
    said = announcement(certifier, zeros(4), "cpu, 1 threads", tmp_path, 2)
    assert said.startswith(f"cpu, 1 thread; {tmp_path}; 2 examples of at most 300 samples; about ")


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "0 s"), (99, "99 s"), (720, "12 min"), (12600, "3.5 h")])
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_lines_end_with_a_running_summary(clock, capsys):
    with Progress(4, 1, lines=True) as bar:
        for radius in (0.5, 0.3, 0.0, 0.1):
            clock.seconds += 20
            status = "certified" if radius else "abstained"
            bar.example([{"status": status, "correct": radius > 0.2, "radius": radius}])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "example 1 of 4 done, 1 certified, certified accuracy: 1, ACR (average certified radius): 0.5; 1 samples, "
        "about 60 s left"
    )
    assert lines[-1].startswith(
        "example 4 of 4 done, 3 certified, certified accuracy: 0.5, ACR (average certified radius): 0.2;"
    )


def test_the_summary_of_outputs_counts_abstentions_as_infinite(clock, capsys):
    with Progress(3, 1, lines=True) as bar:
        for eps_out in (0.5, float("inf"), 0.1):
            bar.example([{"status": "certified" if eps_out < 1 else "abstained", "eps_in": 0.2, "eps_out": eps_out}])
    assert ", 2 certified, median eps_out at eps_in = 0.2: 0.5;" in capsys.readouterr().err


def test_empty_outputs_are_counted_beside_the_certified_ones(clock, capsys):
    with Progress(2, 1, lines=True) as bar:
        for empty in (True, False):
            bar.example([{"status": "certified", "eps_in": 0.2, "eps_out": 0.0, "empty": empty}] * 2)
    assert "2 certified, 1 with an empty output, median eps_out at eps_in = 0.2: 0;" in capsys.readouterr().err


def test_a_run_that_stops_says_so(clock, capsys):
    with suppress(KeyboardInterrupt), Progress(2, 1, lines=True) as bar:
        bar.example([CERTIFIED])
        clock.seconds += 7
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "example 1 of 2 done, 1 certified; stopped after 7 s\n"
