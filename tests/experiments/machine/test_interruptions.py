"""Commands that are stopped, started twice, or cannot write: one line, an exit code, and nothing lost."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.config import entry
from experiments.machine import stopping

ROOT = Path(__file__).parents[3]
TRAINING = ("experiment=digits_gaussian", "trainer.epochs=3", "trainer.lr_step=2", "device=cpu")
DIGITS = (*TRAINING, "batch_size=100")
LONG = ("limit=5", "certifier.n=20000")  # a row takes a second
WAIT = 120  # seconds


@pytest.fixture
def typed(tmp_path):
    """typed("certify.py", "limit=3") starts a command."""

    def start(script, *arguments, results="results"):
        roots = (f"checkpoints.root={tmp_path / 'checkpoints'}", f"results.root={tmp_path / results}")
        command = [
            sys.executable,
            str(ROOT / script),
            *(TRAINING if script == "train.py" else DIGITS),
            *roots,
            *arguments,
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )

    return start


def until(happens, process):
    deadline = time.monotonic() + WAIT
    while not (found := happens()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return found


def rows(path):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(path.open())]


def one_line(process):
    """Exit with 1 and one line, which is returned."""
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 1, err
    (line,) = err.strip().splitlines()
    return line


@pytest.mark.slow
def test_sigterm_and_a_second_job(typed, trained, tmp_path):
    trained("batch_size=100")
    whole = typed("certify.py", *LONG, results="whole")
    assert whole.wait(timeout=WAIT) == 0
    first = typed("certify.py", *LONG)
    (table,) = until(lambda: list((tmp_path / "results").rglob("certificates.csv")), first)
    until(lambda: len(table.read_text().splitlines()) > 1, first)
    first.send_signal(signal.SIGSTOP)  # so that it still runs when the second one starts
    line = one_line(typed("certify.py", *LONG))
    assert f"another job is working here (host {os.uname().nodename}, pid {first.pid}, since" in line
    first.send_signal(signal.SIGTERM)
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=WAIT)
    assert first.returncode == 143, err
    assert "stopped by SIGTERM; run the same command to resume" in err
    assert typed("certify.py", *LONG).wait(timeout=WAIT) == 0
    (expected,) = (tmp_path / "whole").rglob("certificates.csv")
    assert rows(table) == rows(expected)
    assert not table.with_suffix(".lock").exists()


@pytest.mark.slow
def test_two_trainings_of_one_checkpoint(typed, tmp_path):
    first = typed("train.py", "trainer.epochs=200")
    until(lambda: list((tmp_path / "checkpoints").rglob("resume.pt")), first)
    first.send_signal(signal.SIGSTOP)
    line = one_line(typed("train.py", "trainer.epochs=200"))
    assert f"training.lock: another job is working here (host {os.uname().nodename}, pid {first.pid}" in line
    assert line.endswith("). Wait for it or stop it")  # a training has no shards
    first.send_signal(signal.SIGTERM)
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=WAIT)
    assert first.returncode == 143, err
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["resume.pt", "training.csv"]


def test_nowhere_to_write_is_one_line(python, tmp_path):
    (tmp_path / "checkpoints").mkdir(mode=0o500)
    if os.geteuid() == 0:  # root can write anyway
        command = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path / "checkpoints")]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a tmpfs cannot be mounted here")
    try:
        done = python("train.py", *TRAINING, f"checkpoints.root={tmp_path / 'checkpoints'}")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(tmp_path / "checkpoints")], check=True)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert str(tmp_path / "checkpoints") in line
    assert "Read-only file system" in line or "Permission denied" in line


def test_another_os_error_says_where_it_was_raised(capsys):
    def broken(cfg):
        raise FileNotFoundError(2, "No such file or directory", "somewhere")

    with pytest.raises(SystemExit) as stopped:
        entry.one_line_errors(broken)({})
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r": FileNotFoundError: .*'somewhere' \(.*test_interruptions\.py:\d+ in broken\)$", line)


def test_ctrl_c_and_an_exit_are_not_errors(capsys):
    for error, code in ((KeyboardInterrupt(), 130), (SystemExit(3), 3)):

        def stops(cfg, error=error):
            raise error

        with pytest.raises(SystemExit) as stopped:
            entry.one_line_errors(stops)({})
        assert stopped.value.code == code


def test_sigterm_asks_once_and_then_kills():
    with stopping.sigterm_finishes_first():
        stopping.stop_if_asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.asked()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        with pytest.raises(SystemExit) as stopped:
            stopping.stop_if_asked()
    assert stopped.value.code == 143


def test_another_handler_of_sigterm_stays():
    """The handler that submitit installs in a Slurm job."""
    got = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        with stopping.sigterm_finishes_first():
            os.kill(os.getpid(), signal.SIGTERM)
            assert got == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
