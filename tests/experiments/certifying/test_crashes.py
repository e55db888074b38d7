"""kill -9 at any moment of training and certifying, repeatedly: nothing is lost or doubled, and final files are equal.

The jobs run in forks of crash_server.py, which says how they are killed.
"""

import csv
import io
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
TIMES = ("seconds", "started", "ended", "resumed")
DIGITS = ("experiment=digits_gaussian", "trainer.epochs=3", "device=cpu", "batch_size=100")
IMAGES = (
    "experiment=digits_tvd",
    "trainer.epochs=2",
    "noise.sigma=0.2",
    "eps=[0.05,0.1]",
    "device=cpu",
    "batch_size=100",
)
CERTIFY = {
    "votes": (*DIGITS, "limit=4", "certifier.n0=20", "certifier.n=200"),
    "draws": (*IMAGES, "limit=3", "certifier.n=80", "certifier.m=60", "certifier.delta=0.3"),
}


class Server:
    """crash_server.py and its folders: certify writes to results/ and reads trained/; train writes to checkpoints/."""

    def __init__(self, work):
        self.work, self.log = work, (work / "log").open("w+")
        command = [sys.executable, str(Path(__file__).with_name("crash_server.py"))]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, job, overrides, die=None, checkpoints=None, **others):
        """Run a job. Returns its answer, with its stderr."""
        checkpoints = checkpoints or {"certify": "trained", "train": "checkpoints"}[job]
        roots = [f"results.root={self.work / 'results'}", f"checkpoints.root={self.work / checkpoints}"]
        begin = self.log.seek(0, io.SEEK_END)
        order = {"job": job, "overrides": [*overrides, *roots], "die": die, **others}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.log.seek(begin)
        return answer | {"said": self.log.read()}

    def files(self, folder, finished=True):
        """The contents of all files below, by path; without times for a finished run."""
        paths = sorted(path for path in (self.work / folder).rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.work)): without_times(path) if finished else path.read_bytes() for path in paths
        }

    def clear(self, *folders):
        for folder in folders:
            shutil.rmtree(self.work / folder, ignore_errors=True)


def without_times(path):
    if path.suffix == ".csv":
        return [
            {k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(io.StringIO(path.read_text()))
        ]
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        if "ended" in content:
            assert (content, *content["resumed"])[-1]["ended"], "a finished run says so"
        return {key: value for key, value in content.items() if key not in TIMES}
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {name: stored[name].tolist() for name in stored.files if name not in TIMES}
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("crashes"))
    yield started
    started.process.stdin.close()
    started.process.wait(timeout=60)


class Whole(dict):
    """Uninterrupted jobs, by name, each run when first asked for: command, folder, files, calls and seconds."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def __missing__(self, name):
        server = self.server
        job, folder = ("train", "checkpoints") if name == "train" else ("certify", "results")
        overrides = DIGITS if name == "train" else CERTIFY[name]
        if job == "certify":
            assert server("train", overrides, checkpoints="trained")["status"] == 0
        server.clear(folder)
        begun = time.monotonic()
        answer = server(job, overrides)
        seconds = time.monotonic() - begun
        assert answer["status"] == 0, answer["said"]
        self[name] = {"job": job, "overrides": overrides, "folder": folder, "files": server.files(folder)}
        self[name] |= {"answer": answer, "seconds": seconds}
        return self[name]


@pytest.fixture(scope="module")
def whole(server):
    return Whole(server)


def moments(answer):
    """Every moment before and after a call that makes something durable."""
    for call, whens in (("fsync", ("before", "torn", "after")), ("replace", ("before", "after"))):
        for number, when in itertools.product(range(1, answer[call] + 1), whens):
            yield {"call": call, "number": number, "when": when}


def crash_and_continue(server, run, *deaths):
    """Kill a job at each moment in turn, start it again, and compare. Returns how often it was actually killed."""
    server.clear(run["folder"])
    killed = sum(server(run["job"], run["overrides"], die)["status"] == -9 for die in deaths)
    answer = server(run["job"], run["overrides"])
    assert answer["status"] == 0, (deaths, answer["said"])
    assert server.files(run["folder"]) == run["files"], deaths
    return killed


@pytest.mark.parametrize(
    "name", ["votes", *(pytest.param(name, marks=pytest.mark.slow) for name in ("train", "draws"))]
)
def test_killed_at_some_moments(server, whole, name):
    some = random.Random(name).sample(list(moments(whole[name]["answer"])), 2)
    assert [crash_and_continue(server, whole[name], die) for die in some] == [1] * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "votes", "draws"])
def test_killed_at_every_moment(server, whole, name):
    all_of_them = list(moments(whole[name]["answer"]))
    assert [crash_and_continue(server, whole[name], die) for die in all_of_them] == [1] * len(all_of_them)
    print(f"{name}: killed at {len(all_of_them)} moments, one at a time; the files are equal each time")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "votes", "draws"])
def test_killed_at_random_times(server, whole, name):
    """Several crashes in a row, because a resumed job takes other steps than a fresh one."""
    chance, seconds, killed, compared = random.Random(name), whole[name]["seconds"], 0, 0
    for times in itertools.cycle((1, 1, 3)):
        if killed >= 17:
            break
        deaths = [{"seconds": chance.uniform(0, seconds)} for _ in range(times)]
        hits = crash_and_continue(server, whole[name], *deaths)
        killed, compared = killed + hits, compared + 1
        if hits < times:  # the job finished first: the machine is less busy than during timing
            seconds *= 0.8
    print(f"{name}: killed at {killed} random times, {compared} final results, all equal")


@pytest.mark.parametrize(
    "name", ["votes", pytest.param("train", marks=pytest.mark.slow), pytest.param("draws", marks=pytest.mark.slow)]
)
def test_sigterm_finishes_what_is_in_hand(server, whole, name):
    """SIGTERM at every third durable write: the row or epoch is finished; exit code 143, unless it was the last one."""
    run, codes = whole[name], []
    for number in range(1, run["answer"]["fsync"] + 1, 3):
        server.clear(run["folder"])
        stopped = server(run["job"], run["overrides"], {"call": "fsync", "number": number, "when": "asked"})
        codes.append(stopped["status"])
        if stopped["status"] == 143:
            assert "stopped by SIGTERM; run the same command to resume" in stopped["said"]
        files = [path for path in server.files(run["folder"], finished=False) if ".partial" in path or ".lock" in path]
        assert not files
        assert server(run["job"], run["overrides"])["status"] == 0
        assert server.files(run["folder"]) == run["files"]
    assert set(codes) <= {0, 143}
    assert codes.count(143) >= len(codes) / 2


@pytest.fixture
def small_disk(server):
    """small_disk.mount(folder) mounts an empty disk of 1 MiB; small_disk.fill(pages) leaves that many pages free."""
    disk = SmallDisk(server.work)
    yield disk
    disk.unmount()


class SmallDisk:
    """A tmpfs on a folder."""

    def __init__(self, work):
        self.work, self.folder = work, None

    def mount(self, folder):
        self.folder = self.work / folder
        self.folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", self.folder], capture_output=True, check=False
        )
        if done.returncode:
            self.folder = None
            pytest.skip("a tmpfs cannot be mounted here, as by root it can")

    def fill(self, pages):
        free = os.statvfs(self.folder).f_bavail - pages
        (self.folder / "filler").write_bytes(b"0" * 4096 * free)

    def unmount(self):
        if self.folder:
            subprocess.run(["umount", self.folder], check=True)
            self.folder = None


@pytest.mark.parametrize(
    "name", ["votes", pytest.param("draws", marks=pytest.mark.slow), pytest.param("train", marks=pytest.mark.slow)]
)
def test_a_full_disk(server, whole, small_disk, name):
    """For every number of free pages until one is enough: a clear error, and the run then resumes correctly."""
    run, full = whole[name], 0
    small_disk.mount(run["folder"])
    for pages in range(60):
        small_disk.fill(pages)
        answer = server(run["job"], run["overrides"])
        left = {path.name for path in small_disk.folder.rglob("*") if path.suffix in (".partial", ".lock")}
        (small_disk.folder / "filler").unlink()
        assert not left
        if answer["status"] == 0:
            break
        full += 1
        assert answer["status"] == 1
        assert "OSError: [Errno 28] No space left on device" in answer["said"]
        if pages % 3 == 0:
            assert server(run["job"], run["overrides"])["status"] == 0
            assert server.files(run["folder"]) == run["files"]
            server.clear(run["folder"])
    assert full >= 3
    assert server.files(run["folder"]) == run["files"]
    print(f"{name}: {full} full disks")


def test_a_disk_that_may_not_be_written(server, whole, small_disk):
    """The disk is full at the start, and in the middle of a run."""
    run = whole["votes"]
    small_disk.mount("results")
    for begun in (False, True):
        if begun:
            server(run["job"], run["overrides"], {"call": "fsync", "number": 7, "when": "before"})
        before = server.files("results", finished=False)
        subprocess.run(["mount", "-o", "remount,ro", small_disk.folder], check=True)
        answer = server(run["job"], run["overrides"])
        assert answer["status"] == 1
        assert "Read-only file system" in answer["said"]
        subprocess.run(["mount", "-o", "remount,rw", small_disk.folder], check=True)
        assert server.files("results", finished=False) == before
    assert server(run["job"], run["overrides"])["status"] == 0
    assert server.files("results") == run["files"]


def test_a_clock_that_goes_back_changes_nothing(server, whole):
    run = whole["votes"]
    server.clear("results")
    assert (
        server(run["job"], run["overrides"], {"call": "fsync", "number": 6, "when": "torn"}, clock=True)["status"] == -9
    )
    for path in (server.work / "results").rglob("*.*"):
        os.utime(path, (4e9, 4e9))  # in the year 2096
    assert server(run["job"], run["overrides"], clock=True)["status"] == 0
    assert server.files("results") == run["files"]


def is_table(path):
    return Path(path).name.startswith("certificates")


@pytest.mark.slow
def test_a_crash_of_one_shard_leaves_the_others(server, whole):
    """Two shards, one of them killed inside a write and restarted, together have the rows of a single run."""
    run = whole["draws"]
    server.clear("results")
    for index, die in ((0, {"call": "fsync", "number": 9, "when": "torn"}), (1, None), (0, None)):
        server("certify", (*run["overrides"], "shard.count=2", f"shard.index={index}"), die)
    files = server.files("results")
    tables = [rows for path, rows in files.items() if is_table(path)]
    (expected,) = (rows for path, rows in run["files"].items() if is_table(path))
    assert len(tables) == 2
    assert sorted(itertools.chain(*tables), key=str) == sorted(expected, key=str)
    assert not [path for path in files if path.endswith((".lock", ".partial"))]
