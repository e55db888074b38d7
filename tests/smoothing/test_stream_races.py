"""On a simulated second GPU: noise is written into a buffer only after the network has read it."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.long


@pytest.fixture
def races(python):
    """races() is the number of races under each noise."""

    def run(*arguments):
        process = python(Path(__file__).parent / "stream_races.py", *arguments)
        assert process.returncode == 0, process.stderr
        return [int(line.split("races ")[1].split()[0]) for line in process.stdout.splitlines()]

    return run


def test_streams_do_not_race(races):
    assert races() == [0] * 5


def test_the_checker_finds_events_on_the_wrong_stream(races):
    assert all(count > 0 for count in races("broken"))
