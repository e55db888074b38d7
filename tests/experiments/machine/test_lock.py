"""One writer per file: the message names the lock's holder, and a dead process holds no lock."""

import multiprocessing
import os
import signal
import time

import pytest

from experiments.machine.lock import Lock
from experiments.runs.table import Schema, TableWriter
from smoothing import ExactCertify, Predict, SmoothingError

fork = multiprocessing.get_context("fork")


def hold(path, held):
    with Lock(path):
        held.set()
        time.sleep(60)


def count(path, counter, times):
    """Add to the number in a file. The result is wrong if two processes do it at once."""
    done = 0
    while done < times:
        try:
            with Lock(path):
                before = int(counter.read_text())
                time.sleep(0.0005)
                counter.write_text(str(before + 1))
                done += 1
        except SmoothingError:
            time.sleep(0.0005)


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """A process that holds tmp_path/a.lock, as a job of a Slurm array."""
    monkeypatch.setenv("SLURM_JOB_ID", "14")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    held = fork.Event()
    process = fork.Process(target=hold, args=(tmp_path / "a.lock", held))
    process.start()
    assert held.wait(timeout=30)
    yield process
    process.kill()
    process.join()


def test_the_second_one_says_who_holds_it(tmp_path, holder):
    with pytest.raises(SmoothingError) as caught:
        Lock(tmp_path / "a.lock")
    message = str(caught.value)
    assert "\n" not in message
    for word in ("a.lock", f"pid {holder.pid}", f"host {os.uname().nodename}", "since 20", "Slurm job 12_3"):
        assert word in message
    Lock(tmp_path / "b.lock").release()


def test_a_killed_process_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert (tmp_path / "a.lock").exists()
    with Lock(tmp_path / "a.lock"):
        assert f'"pid": {os.getpid()}' in (tmp_path / "a.lock").read_text()
    assert not (tmp_path / "a.lock").exists()


def test_one_at_a_time_though_the_file_comes_and_goes(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [fork.Process(target=count, args=(tmp_path / "a.lock", counter, 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert counter.read_text() == "400"


def test_a_table_has_one_writer(tmp_path):
    path = tmp_path / "certificates.csv"
    row = dict.fromkeys(Predict.columns, 1)
    with TableWriter(path, Schema.of(Predict)) as table:
        with pytest.raises(
            SmoothingError, match=r"certificates\.lock: another job is working here \(host .*, pid "
        ) as e:
            TableWriter(path, Schema.of(Predict))
        assert str(e.value).endswith("; to split a run between jobs, set shard.count and shard.index")
        table.write([row])
    assert [path.name for path in tmp_path.iterdir()] == ["certificates.csv"]
    with TableWriter(path, Schema.of(Predict)) as table:
        assert table.done == {(1.0,)}


def test_a_refused_table_leaves_no_lock(tmp_path):
    path = tmp_path / "certificates.csv"
    with TableWriter(path, Schema.of(Predict)) as table:
        table.write([dict.fromkeys(Predict.columns, 1)])
    with pytest.raises(SmoothingError, match="expected the columns"):
        TableWriter(path, Schema.of(ExactCertify))
    assert [path.name for path in tmp_path.iterdir()] == ["certificates.csv"]
