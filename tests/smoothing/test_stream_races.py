"""On a simulated second GPU: noise is written into a buffer only after the network has read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def races(*arguments):
    """The number of races under each noise."""
    script = Path(__file__).parent / "stream_races.py"
    process = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    return [int(line.split("races ")[1].split()[0]) for line in process.stdout.splitlines()]


def test_streams_do_not_race():
    assert races() == [0] * 5


def test_the_checker_finds_events_on_the_wrong_stream():
    assert all(count > 0 for count in races("broken"))
