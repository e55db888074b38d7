"""The launcher for one machine: each GPU has one job at a time, and every point runs."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from experiments.config.schema import register
from experiments.report.figure import CONF
from experiments.runs.reader import find_runs
from hydra_plugins.local_parallel import LocalParallelLauncher, visible_gpus

POPEN = subprocess.Popen
ROOT = Path(__file__).parents[3]
LAUNCH = """
import sys
from hydra_plugins.local_parallel import LocalParallelLauncher
from omegaconf import OmegaConf
launcher = LocalParallelLauncher(gpus={gpus}, jobs={jobs})
job = {{"name": "job", "config_name": "job"}}
given = {{"hydra": ["hydra/launcher=local_parallel", "hydra.verbose=true"]}}
sources = [{{"provider": "command-line", "schema": "file", "path": "{work}/my conf"}}]
hydra = {{"job": job, "overrides": given, "runtime": {{"config_sources": sources}}, "sweep": {{"dir": "{work}"}}}}
config = OmegaConf.create({{"hydra": hydra}})
launcher.setup(hydra_context=None, task_function=None, config=config)
sys.argv[0] = "{work}/job.py"
print([r.overrides for r in launcher.launch({points}, initial_job_idx=0)])
"""
JOB = """
import os, sys, time
begin = time.monotonic()
assert sys.argv[1:4] == ["--config-dir", os.path.dirname(os.path.abspath(__file__)) + "/my conf", "hydra.verbose=true"]
name = sys.argv[4]
if name == "bad":
    sys.exit("it went wrong")
time.sleep({seconds})
print(name, os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["OMP_NUM_THREADS"], begin, time.monotonic())
"""


@pytest.fixture
def launched(tmp_path):
    """launched(points, gpus, jobs) -> the launching process; jobs say where and when they ran."""

    def launch(points, gpus=None, jobs=None, seconds=0.3):
        (tmp_path / "job.py").write_text(JOB.format(seconds=seconds))
        code = LAUNCH.format(gpus=gpus, jobs=jobs, work=tmp_path, points=[[point] for point in points])
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        environment |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return launch


def test_a_gpu_has_one_job_at_a_time(launched, tmp_path):
    out, err = launched("abcdef", gpus=[0, 3]).communicate(timeout=60)
    assert "[['a'], ['b'], ['c'], ['d'], ['e'], ['f']]" in out, err
    ran = [(tmp_path / f"{number}.log").read_text().split() for number in range(6)]
    assert [name for name, *_ in ran] == list("abcdef")
    for gpu in ("0", "3"):
        times = sorted((float(begin), float(end)) for _, where, _, begin, end in ran if where == gpu)
        assert len(times) == 3
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(times))
    assert {threads for _, _, threads, *_ in ran} == {str(max(1, len(os.sched_getaffinity(0)) // 2))}


def test_more_jobs_than_gpus_share_them(launched, tmp_path):
    launched("abcd", gpus=[5, 7], jobs=4).communicate(timeout=60)
    assert [(tmp_path / f"{number}.log").read_text().split()[1] for number in range(4)] == ["5", "7", "5", "7"]


def test_a_failure_is_said_and_the_others_run(launched, tmp_path):
    process = launched(["bad", "b", "c"], jobs=1, seconds=0)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "#0 bad: exit code 1: it went wrong" in out
    assert "1 of 3 jobs failed" in out
    assert err == ""
    assert [(tmp_path / f"{number}.log").read_text().split()[0] for number in (1, 2)] == ["b", "c"]


def test_sigterm_stops_all_and_starts_no_other(launched, tmp_path):
    process = launched("abcd", jobs=2, seconds=50)
    started = [process.stdout.readline() for _ in range(2)]
    assert all("started" in line for line in started)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert time.monotonic() - begun < 20
    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["0.log", "1.log"]


def test_sigterm_also_stops_a_job_that_is_just_being_started(tmp_path, monkeypatch):
    launcher = LocalParallelLauncher(jobs=1)
    launcher._sweep_dir = tmp_path
    (tmp_path / "job.py").write_text("import time; time.sleep(50)")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "job.py")])
    started = []

    def popen(*arguments, **options):
        started.append(POPEN(*arguments, **options))
        signal.raise_signal(signal.SIGTERM)  # before the launcher knows of the process
        return started[-1]

    monkeypatch.setattr("hydra_plugins.local_parallel.subprocess.Popen", popen)
    begun = time.monotonic()
    with pytest.raises(SystemExit) as stopped:
        launcher.launch([["a"], ["b"]], initial_job_idx=0)
    assert stopped.value.code == 143
    assert time.monotonic() - begun < 20
    assert [process.returncode for process in started] == [-signal.SIGTERM]


def test_no_jobs_at_once_is_refused(launched):
    process = launched("a", jobs=0)
    assert "hydra.launcher.jobs: expected at least 1, got 0" in process.communicate(timeout=60)[1]
    assert process.returncode == 1


def test_gpus_that_this_process_may_use(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7a")
    assert visible_gpus() == ["2", "GPU-7a"]


def test_it_composes():
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("certify", ["hydra/launcher=local_parallel", "hydra.launcher.jobs=3"], return_hydra_config=True)
    assert cfg.hydra.launcher._target_ == "hydra_plugins.local_parallel.LocalParallelLauncher"
    assert cfg.hydra.launcher.jobs == 3


@pytest.mark.slow
def test_a_sweep_over_shards(tmp_path):
    small = [
        "experiment=digits_gaussian",
        "noise.sigma=0.25",
        "trainer.epochs=2",
        "limit=5",
        "certifier.n0=20",
        "certifier.n=200",
    ]
    roots = ["device=cpu", f"checkpoints.root={tmp_path / 'checkpoints'}"]

    def typed(script, *arguments):
        command = [sys.executable, str(ROOT / script), "-m", *small, *roots, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout

    typed("train.py")
    typed("certify.py", f"results.root={tmp_path / 'one'}")
    sweep = ("hydra/launcher=local_parallel", "hydra.launcher.jobs=2", "shard.count=3", "shard.index=range(3)")
    out = typed("certify.py", *sweep, f"results.root={tmp_path / 'sweep'}")
    assert out.count(": done") == 3
    (one,), (shards,) = find_runs(tmp_path / "one"), find_runs(tmp_path / "sweep")
    assert len(list(shards.folder.glob("certificates.*-of-3.csv"))) == 3
    pd.testing.assert_frame_equal(one.table.drop(columns="seconds"), shards.table.drop(columns="seconds"))


def swept(folder, killed=None):
    """Train at two noise levels with two processes each, certify in two shards each, and draw. Returns the tables.

    Args:
        folder: folder for everything that is written.
        killed: the script that gets SIGTERM in the middle of its work, and is then typed again.
    """
    small = ["experiment=digits_gaussian", "noise.sigma=0.25,0.5", "trainer.epochs=12", "trainer.devices=2"]
    small += ["limit=20", "certifier.n=20000", "device=cpu"]
    begun = {"train.py": "training.csv", "certify.py": "certificates.*-of-2.csv"}  # is there in the middle

    def typed(script, *arguments, stop=False):
        command = [sys.executable, str(ROOT / script), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
        deadline = time.monotonic() + 120
        while stop and time.monotonic() < deadline and not list(folder.rglob(begun[script])):
            time.sleep(0.05)
        if stop:
            process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=300)[0]
        assert (process.returncode != 0) == stop, said
        return said

    for script, shards in (("train.py", []), ("certify.py", ["shard.count=2", "shard.index=range(2)"])):
        sweep = ["-m", "hydra/launcher=local_parallel", "hydra.launcher.jobs=2", *small, *shards]
        if script == killed:
            typed(script, *sweep, stop=True)
        assert typed(script, *sweep).count(": done") == (4 if shards else 2)
    typed("plot.py", "figure=cohen_curves")
    drawn = pd.read_csv(folder / "figures" / "cohen_curves-digits_gaussian.csv")
    assert set(drawn["sigma"]) == {0.25, 0.5}
    assert set(drawn["examples"]) == {20}
    runs = sorted(find_runs(folder / "results"), key=lambda run: run.folder.name)
    return [run.table.drop(columns="seconds") for run in runs]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tables of a sweep that nothing interrupts."""
    return swept(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["train.py", "certify.py"])
def test_from_training_to_a_figure_with_a_command_killed_once(tmp_path, whole, killed):
    assert [len(table) for table in whole] == [20, 20]
    for table, expected in zip(swept(tmp_path, killed), whole, strict=True):
        pd.testing.assert_frame_equal(table, expected)
